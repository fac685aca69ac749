import assert from "node:assert/strict";
import { parseArguments } from "./arguments.ts";

Deno.test("every option has a default", () => {
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

Deno.test("--only may be repeated, and takes names separated by commas", () => {
  const { only, runs, lab } = parseArguments([
    "--only",
    "floor,boot",
    "--only=ctr",
    "--runs=3",
    "--lab",
  ]);
  assert.deepEqual({ only, runs, lab }, { only: ["floor", "boot", "ctr"], runs: 3, lab: true });
});

Deno.test("--compare takes two files", () => {
  assert.deepEqual(parseArguments(["--compare", "a.json", "b.json"]).compare, ["a.json", "b.json"]);
});

Deno.test("a wrong command line is refused with the wrong word", () => {
  const wrong: [string[], RegExp][] = [
    [["--fast"], /--fast/],
    [["floor"], /unexpected argument floor/],
    [["--compare", "a.json"], /takes two files/],
    [["--runs", "0"], /--runs 0: must be from 1/],
    [["--runs", "many"], /--runs many/],
  ];
  for (const [args, message] of wrong) assert.throws(() => parseArguments(args), message);
});
