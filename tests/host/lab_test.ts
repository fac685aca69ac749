/** The lab seen from outside. Each boot of it costs 20 seconds, so there are few here. */

import assert from "node:assert/strict";

const TESTBED = new URL("../../scripts/testbed", import.meta.url).pathname;
const QEMU_WITHIN_MS = 60_000;

function labTest(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.uid() !== 0;
  Deno.test({ name: `${name} (skipped without root rights)`, ignore, fn });
}

async function lab(options: readonly string[], command: readonly string[], stdin = "") {
  const child = new Deno.Command(TESTBED, {
    args: ["--kvm", ...options, ...command],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

labTest("the exit status and the standard streams are the command's own", async () => {
  const script =
    `cat; echo err >&2; head -c 3000000 /dev/zero | tr '\\0' x; ls /dev/kvm /dev/vhost-net >&2
    kill -9 $$`;
  const { code, stdout, stderr } = await lab([], ["sh", "-c", script], "in\n");
  assert.match(stderr, /^err\n\/dev\/kvm\n\/dev\/vhost-net\n/m);
  assert.equal(stdout.slice(0, 3), "in\n");
  assert.equal(stdout.length, 3 + 3_000_000);
  assert.equal(code, 137);
});

labTest("a kernel that panics is an error with the end of its console", async () => {
  const { code, stderr } = await lab([], ["sh", "-c", "echo c >/proc/sysrq-trigger"]);
  assert.match(
    stderr,
    /^lab: (qemu-system-x86_64|virtiofsd) exited with 0\nthe end of the lab's console:\n/m,
  );
  assert.match(stderr, /Kernel panic - not syncing: sysrq triggered crash/);
  assert.equal(code, 2);
});

labTest("a lab that takes too long is ended, here while it boots", async () => {
  const { code, stderr } = await lab(["--deadline", "0.05"], ["sleep", "3600"]);
  assert.match(stderr, /^lab: not done within 0\.05 minutes$/m);
  assert.equal(code, 124);
});

labTest("SIGKILL to the testbed ends the lab's machine", async () => {
  const child = new Deno.Command(TESTBED, {
    args: ["--kvm", "sleep", "3600"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const giveUpAt = performance.now() + QEMU_WITHIN_MS;
  while (!programsBelow(child.pid).includes("qemu-system-x86_64")) {
    assert(performance.now() < giveUpAt, "QEMU does not run");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGKILL");
  // The output is closed when the last process that has it is dead.
  assert.equal((await child.stdout.getReader().read()).done, true);
  await child.status;
});

/** Names of all programs that descend from a process. */
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
      // It has just ended.
    }
  }
  const below = (pid: number): string[] =>
    (children.get(pid) ?? []).flatMap((child) => [child.name, ...below(child.pid)]);
  return below(ancestor);
}
