/** The testbed seen from outside: what it lends its command, and what it leaves when it ends. */

import assert from "node:assert/strict";

const TESTBED = new URL("../../scripts/testbed", import.meta.url).pathname;
const CACHE = `${
  Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") || "/root"}/.cache`
}/qemubox`;

function testbedTest(name: string, fn: () => Promise<void>): void {
  const ignore = Deno.uid() !== 0;
  Deno.test({ name: `${name} (skipped without root rights)`, ignore, fn });
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function testbed(command: readonly string[], stdin = ""): Promise<Outcome> {
  const child = new Deno.Command(TESTBED, {
    args: [...command],
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

testbedTest("the exit status and the standard streams are the command's own", async () => {
  const { code, stdout } = await testbed(["sh", "-c", "cat; echo err >&2; exit 42"], "in\n");
  assert.deepEqual([code, stdout], [42, "in\n"]);
  const killed = await testbed(["sh", "-c", "kill -9 $$"]);
  assert.equal(killed.code, 137);
  assert.equal((await testbed(["/no/such/command"])).code, 127);
  assert.equal((await testbed(["--no-such-option"])).code, 2);
});

testbedTest("containerd is there with its images for both snapshotters", async () => {
  const script = `
    ctr images ls -q
    for snapshotter in overlayfs erofs; do
      mkdir /m
      ctr images mount --snapshotter $snapshotter docker.io/library/layers:latest /m >/dev/null
      cat /m/layers/top
      ls /m/layers | wc -l
      umount /m
      rmdir /m
    done
    readlink -f /usr/share/qemubox/bin/containerd-shim-qemubox-v1
    ls -L /usr/share/qemubox/kernel`;
  const { code, stdout, stderr } = await testbed(["sh", "-ec", script]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    ...["busybox", "layers", "pause"].map((name) => `docker.io/library/${name}:latest`),
    // 20 layers and `top`, less the 4 that layers above take away.
    ...["20", "17", "20", "17"],
    ...[TESTBED.replace("scripts/testbed", "_output/containerd-shim-qemubox-v1")],
    ...["qemubox-initrd", "qemubox-kernel-x86_64", "qemubox-root"],
  ]);
});

testbedTest("two at once do not see each other, and nothing is left of either", async () => {
  const script = `
    ctr namespaces create $0
    ctr namespaces ls -q
    hostname
    ls /sys/class/net
    awk '$5 == "/tmp" { print $4 }' /proc/self/mountinfo`;
  const both = await Promise.all(
    ["one", "two"].map((name) => testbed(["sh", "-ec", script, name])),
  );
  const lines = both.map(({ stdout }) => stdout.trim().split("\n"));
  assert.deepEqual(lines.map((words) => words.slice(0, 4)), [
    ["default", "one", "testbed", "lo"],
    ["default", "two", "testbed", "lo"],
  ]);
  // …/scratch/NAME/tmp, but for a testbed that lives in memory.
  const names = lines.map((words) => words[4]!.split("/").at(-2)).filter((name) => name !== "");
  for (const name of names) assert.ok(!scratch().some((entry) => entry.startsWith(name!)), name);
});

testbedTest("an orphan is reaped while the command runs", async () => {
  const script = `
    (sh -c 'echo $$ >/tmp/orphan' &)
    tries=0
    until [ -s /tmp/orphan ] && ! kill -0 $(cat /tmp/orphan) 2>/dev/null; do
      tries=$((tries + 1))
      [ $tries -lt 1000 ] || exit 1
      sleep 0.005
    done`;
  const { code, stderr } = await testbed(["sh", "-c", script]);
  assert.equal(code, 0, stderr);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGKILL"] as const) {
  testbedTest(`${signal} to the testbed ends all that is in it`, async () => {
    const child = new Deno.Command(TESTBED, {
      args: ["sh", "-c", "echo ready; exec sleep 86399"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill(signal);
    // The output is closed when the last process that has it is dead.
    assert.equal((await reader.read()).done, true);
    const { code, signal: died } = await child.status;
    if (signal === "SIGKILL") assert.equal(died, signal);
    else assert.equal(code, signal === "SIGTERM" ? 143 : 130);
    if (signal === "SIGKILL") assert.equal((await testbed(["true"])).code, 0); // clears up
    assert.deepEqual(owned(child.pid), []);
  });
}

/** Scratch folders that are there. */
function scratch(): string[] {
  try {
    return [...Deno.readDirSync(`${CACHE}/scratch`)].map(({ name }) => name).sort();
  } catch {
    return [];
  }
}

/** Processes that descend from `pid`, by their parents in /proc. */
function owned(pid: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((candidate) => {
    if (!Number.isInteger(candidate)) return false;
    try {
      const stat = Deno.readTextFileSync(`/proc/${candidate}/stat`);
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid;
    } catch {
      return false;
    }
  });
}
