/** The lab, run from outside. Each boot of it costs 20 seconds, so there are few tests. */

import assert from "node:assert/strict";
import { poll } from "../../base/mod.ts";
import { rootTest, runTestbed, TESTBED } from "./testbed.ts";

const QEMU_WITHIN_MS = 60_000;

/** Runs a command in the lab, with options of the testbed. */
function lab(options: readonly string[], command: readonly string[], stdin = "") {
  return runTestbed(["--kvm", ...options, ...command], stdin);
}

rootTest("the lab passes on the command's exit status and standard streams", async () => {
  const script =
    `cat; echo err >&2; head -c 3000000 /dev/zero | tr '\\0' x; ls /dev/kvm /dev/vhost-net >&2
    kill -9 $$`;
  const { code, stdout, stderr } = await lab([], ["sh", "-c", script], "in\n");
  assert.match(stderr, /^err\n\/dev\/kvm\n\/dev\/vhost-net\n/m);
  assert.equal(stdout.slice(0, 3), "in\n");
  assert.equal(stdout.length, 3 + 3_000_000);
  assert.equal(code, 137);
});

rootTest("a kernel panic of the lab is an error with the end of its console", async () => {
  const { code, stderr } = await lab([], ["sh", "-c", "echo c >/proc/sysrq-trigger"]);
  assert.match(
    stderr,
    /^lab: (qemu-system-x86_64|virtiofsd) exited with 0\nthe end of the lab's console:\n/m,
  );
  assert.match(stderr, /Kernel panic - not syncing: sysrq triggered crash/);
  assert.equal(code, 2);
});

rootTest("the lab is stopped at its deadline, here while it boots", async () => {
  const { code, stderr } = await lab(["--deadline", "0.05"], ["sleep", "3600"]);
  assert.match(stderr, /^lab: not done within 0\.05 minutes$/m);
  assert.equal(code, 124);
});

rootTest("SIGKILL of the testbed kills the lab's machine", async () => {
  const child = new Deno.Command(TESTBED, {
    args: ["--kvm", "sleep", "3600"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const isThere = () => programsBelow(child.pid).includes("qemu-system-x86_64") || null;
  const found = await poll(isThere, { everyMs: 5, timeoutMs: QEMU_WITHIN_MS });
  assert(found !== null, "QEMU does not run");
  child.kill("SIGKILL");
  // The output closes when the last process that has it open is dead.
  assert.equal((await child.stdout.getReader().read()).done, true);
  await child.status;
});

/** Returns the program names of all descendants of a process. */
function programsBelow(ancestor: number): string[] {
  const children = new Map<number, { pid: number; name: string }[]>();
  for (const { name: entry } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${entry}/stat`);
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      const program = Deno.readTextFileSync(`/proc/${entry}/cmdline`).split("\0")[0]!;
      const name = program.slice(program.lastIndexOf("/") + 1);
      children.set(parent, [...children.get(parent) ?? [], { pid: Number(entry), name }]);
    } catch {
      // It has just exited.
    }
  }
  const below = (pid: number): string[] =>
    (children.get(pid) ?? []).flatMap((child) => [child.name, ...below(child.pid)]);
  return below(ancestor);
}
