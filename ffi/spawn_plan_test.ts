import assert from "node:assert/strict";
import fc from "fast-check";
import { CHILD_FD_MAX, planDescriptors } from "./spawn_plan.ts";
import type { Fd } from "./system.ts";

/**
 * Returns the child's descriptors by the rules of dup2(2). The parent's table maps a number to its
 * open file; sources are raised first.
 */
function simulate(
  fds: Record<number, Fd | "null">,
  open: Map<number, string>,
): Map<number, string> {
  const plan = planDescriptors(fds);
  const child = new Map([...open].map(([fd, what]) => [fd, { what, cloexec: true }]));
  let free = Math.max(plan.sourcesFrom, ...open.keys()) + 1;
  const actions = plan.targets.map(({ to, from }) => {
    if (from !== "null" && from >= plan.sourcesFrom) return { to, from };
    const raised = free++;
    child.set(raised, { what: from === "null" ? "null" : open.get(from)!, cloexec: true });
    return { to, from: raised };
  });
  for (const { to, from } of actions) {
    assert.notEqual(from, to);
    child.set(to, { what: child.get(from)!.what, cloexec: false });
  }
  for (const fd of plan.close) child.delete(fd);
  for (const fd of [...child.keys()]) if (fd >= plan.closeFrom) child.delete(fd);
  return new Map(
    [...child].filter(([, { cloexec }]) => !cloexec).map(([fd, { what }]) => [fd, what]),
  );
}

Deno.test("the child gets the requested descriptors and no others, however the numbers overlap", () => {
  const number = fc.integer({ min: 0, max: 12 });
  const request = fc.dictionary(number.map(String), fc.option(number, { nil: "null" as const }));
  fc.assert(fc.property(request, (wanted) => {
    const fds = wanted as Record<number, Fd | "null">;
    const open = new Map(Array.from({ length: 13 }, (_, fd) => [fd, `ours ${fd}`]));
    const expected = new Map<number, string>([[0, "null"], [1, "null"], [2, "null"]]);
    for (const [to, from] of Object.entries(fds)) {
      expected.set(Number(to), from === "null" ? "null" : `ours ${from}`);
    }
    const sorted = (map: Map<number, string>) => [...map].sort(([a], [b]) => a - b);
    assert.deepEqual(sorted(simulate(fds, open)), sorted(expected));
  }));
});

Deno.test("invalid descriptor numbers are rejected", () => {
  for (const wrong of [-1, CHILD_FD_MAX + 1, 1.5]) {
    assert.throws(() => planDescriptors({ [wrong]: "null" }), RangeError);
  }
  assert.equal(planDescriptors({ [CHILD_FD_MAX]: "null" }).closeFrom, CHILD_FD_MAX + 1);
});
