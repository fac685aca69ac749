import assert from "node:assert/strict";
import { parseArguments } from "./arguments.ts";

Deno.test("everything has a default", () => {
  assert.deepEqual(parseArguments([]), {
    lab: false,
    only: [],
    runs: null,
    json: false,
    svg: null,
    kept: null,
    check: false,
    compare: null,
    help: false,
  });
});

Deno.test("names are repeated or separated by commas", () => {
  const { only, runs, lab } = parseArguments([
    "--only",
    "floor,boot",
    "--only=ctr",
    "--runs=3",
    "--lab",
  ]);
  assert.deepEqual({ only, runs, lab }, { only: ["floor", "boot", "ctr"], runs: 3, lab: true });
});

Deno.test("two files are compared", () => {
  assert.deepEqual(parseArguments(["--compare", "a.json", "b.json"]).compare, ["a.json", "b.json"]);
});

Deno.test("what is not understood is refused, with what is wrong", () => {
  const wrong: [string[], RegExp][] = [
    [["--fast"], /--fast/],
    [["floor"], /argument floor is not understood/],
    [["--compare", "a.json"], /takes two files/],
    [["--runs", "0"], /--runs 0: from 1/],
    [["--runs", "many"], /--runs many/],
  ];
  for (const [args, message] of wrong) assert.throws(() => parseArguments(args), message);
});
