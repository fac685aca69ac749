/** The testbed, run from outside: what its command finds, and what is left when it ends. */

import assert from "node:assert/strict";
import { listIfPresent } from "../../base/mod.ts";
import { rootTest, runTestbed, TESTBED } from "./testbed.ts";

const CACHE = `${
  Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") || "/root"}/.cache`
}/qemubox`;

rootTest("the testbed passes on the command's exit status and standard streams", async () => {
  const { code, stdout } = await runTestbed(["sh", "-c", "cat; echo err >&2; exit 42"], "in\n");
  assert.deepEqual([code, stdout], [42, "in\n"]);
  const killed = await runTestbed(["sh", "-c", "kill -9 $$"]);
  assert.equal(killed.code, 137);
  assert.equal((await runTestbed(["/no/such/command"])).code, 127);
  assert.equal((await runTestbed(["--no-such-option"])).code, 2);
});

rootTest("containerd runs and has its images for both snapshotters", async () => {
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
  const { code, stdout, stderr } = await runTestbed(["sh", "-ec", script]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    ...["busybox", "layers", "pause"].map((name) => `docker.io/library/${name}:latest`),
    // 20 layers and `top`, without the 4 that upper layers remove.
    ...["20", "17", "20", "17"],
    ...[TESTBED.replace("scripts/testbed", "_output/containerd-shim-qemubox-v1")],
    ...["qemubox-initrd", "qemubox-kernel-x86_64", "qemubox-root"],
  ]);
});

rootTest("two testbeds do not see each other and leave nothing", async () => {
  const script = `
    ctr namespaces create $0
    ctr namespaces ls -q
    hostname
    ls /sys/class/net
    awk '$5 == "/tmp" { print $4 }' /proc/self/mountinfo`;
  const both = await Promise.all(
    ["one", "two"].map((name) => runTestbed(["sh", "-ec", script, name])),
  );
  const lines = both.map(({ stdout }) => stdout.trim().split("\n"));
  assert.deepEqual(lines.map((words) => words.slice(0, 4)), [
    ["default", "one", "testbed", "lo"],
    ["default", "two", "testbed", "lo"],
  ]);
  // …/scratch/NAME/tmp, except in a testbed in memory.
  const names = lines.map((words) => words[4]!.split("/").at(-2)).filter((name) => name !== "");
  for (const name of names) assert.ok(!scratch().some((entry) => entry.startsWith(name!)), name);
});

rootTest("an orphan is reaped while the command runs", async () => {
  const script = `
    (sh -c 'echo $$ >/tmp/orphan' &)
    tries=0
    until [ -s /tmp/orphan ] && ! kill -0 $(cat /tmp/orphan) 2>/dev/null; do
      tries=$((tries + 1))
      [ $tries -lt 1000 ] || exit 1
      sleep 0.005
    done`;
  const { code, stderr } = await runTestbed(["sh", "-c", script]);
  assert.equal(code, 0, stderr);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGKILL"] as const) {
  rootTest(`${signal} of the testbed kills everything in it`, async () => {
    const child = new Deno.Command(TESTBED, {
      args: ["sh", "-c", "echo ready; exec sleep 86399"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill(signal);
    // The output closes when the last process that has it open is dead.
    assert.equal((await reader.read()).done, true);
    const { code, signal: died } = await child.status;
    if (signal === "SIGKILL") assert.equal(died, signal);
    else assert.equal(code, signal === "SIGTERM" ? 143 : 130);
    if (signal === "SIGKILL") assert.equal((await runTestbed(["true"])).code, 0); // cleans up
    assert.deepEqual(owned(child.pid), []);
  });
}

/** Returns the names of scratch directories. */
function scratch(): string[] {
  return listIfPresent(`${CACHE}/scratch`).map(({ name }) => name).sort();
}

/** Returns the child processes of `pid`, by their parents in /proc. */
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
