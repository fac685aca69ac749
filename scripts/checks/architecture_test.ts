import assert from "node:assert/strict";
import { architectureViolations } from "./architecture.ts";
import { DIRECTORIES, MAIN_ROOM, ROOMS } from "./tables.ts";

const directoryRow = ([name, allowed]: [string, readonly string[]]) =>
  `| \`${name}/\` | text with \`code\` | ${
    allowed.map((other) => `\`${other}\``).join(" ") || "nothing of ours"
  } |`;
const roomRow = (room: string) =>
  room === MAIN_ROOM ? "| `main.ts` | the top |" : `| \`${room}/\` | text |`;

function document(
  directories: Readonly<Record<string, readonly string[]>>,
  rooms: Readonly<Record<string, readonly string[]>>,
): string {
  return [
    ...["# Architecture", "", "## Directories", ""],
    ...["| Folder | What it holds | May import |", "|---|---|---|"],
    ...Object.entries(directories).map(directoryRow),
    ...["| `scripts/` | text | anything |", "", "## Rooms", ""],
    ...Object.values(rooms).flatMap((list) => [
      ...["| Room | What it holds |", "| --- | --- |", ...list.map(roomRow)],
      ...["", "Text between tables.", ""],
    ]),
    ...["## The life of Create", ""],
  ].join("\n");
}

Deno.test("a document with the same tables passes", () => {
  assert.deepEqual(architectureViolations(document(DIRECTORIES, ROOMS)), []);
});

Deno.test("rows may omit base/", () => {
  const without = Object.entries(DIRECTORIES).map(([name, allowed]) =>
    [name, allowed.filter((other) => other !== "base")] as const
  );
  assert.deepEqual(architectureViolations(document(Object.fromEntries(without), ROOMS)), []);
});

Deno.test("each difference between document and tables is reported", () => {
  const { net: _net, ...withoutNet } = DIRECTORIES;
  const cases: [string, RegExp][] = [
    [document(withoutNet, ROOMS), /no row `net\/`$/],
    [
      document({ ...DIRECTORIES, net: ["proto"] }, ROOMS),
      /`net\/` may import ffi base, not proto$/,
    ],
    [document(DIRECTORIES, { shim: ROOMS["shim"]! }), /no table 2 .* rooms of guest\/$/],
    [
      document(DIRECTORIES, { ...ROOMS, guest: [...ROOMS["guest"]!].reverse() }),
      /^ARCHITECTURE.md: rooms of guest\/, top to bottom: must be services .*, not base /,
    ],
    [document(DIRECTORIES, ROOMS).replace("May import", "Imports"), /no column "May import"$/],
    [document(DIRECTORIES, ROOMS).replace("## Directories", "## Other"), /no table below/],
  ];
  for (const [text, expected] of cases) {
    const found = architectureViolations(text);
    assert.equal(found.length, 1);
    assert.match(found[0]!, expected);
  }
});
