import assert from "node:assert/strict";
import { type Child, SIG, system } from "../ffi/mod.ts";
import { confinementOf, emptyRoot, offerToOomKiller, spawnApart } from "./confinement.ts";
import { dyingWithParent } from "./helper_commands.ts";

const ID = 1_879_048_192;
const TOOLS = { setprivPath: "/usr/bin/setpriv", prlimitPath: "/usr/bin/prlimit" };
const size = { memoryMib: 256, memoryMibMax: 512, vcpus: 1, vcpusMax: 1 };
const NAMESPACES = ["mnt", "pid", "ipc", "uts", "cgroup", "net"];

/** Defines a test with a confined sleep(1), for which it takes root. */
function confined(name: string, work: (child: Child, pid: number) => void): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    fn: async () => {
      const sleep = { path: "/usr/bin/sleep", args: ["600"] };
      const { path, args } = dyingWithParent(
        sleep,
        TOOLS,
        { confinement: confinementOf({ size, scratchDisks: [] }, ID) },
      );
      const child = spawnApart(system, { path, args: [...args], cwd: "/" }, null);
      try {
        // Until prlimit(1) and setpriv(1) have done their work.
        while (!Deno.readTextFileSync(`/proc/${child.pid}/cmdline`).startsWith("/usr/bin/sleep"));
        work(child, child.pid);
      } finally {
        child.kill(SIG.KILL);
        await child.exited;
      }
    },
  });
}

confined("a process has namespaces of its own, and this thread returns to its own", (_, pid) => {
  const before = NAMESPACES.map((kind) => Deno.readLinkSync(`/proc/${Deno.pid}/ns/${kind}`));
  NAMESPACES.forEach((kind, index) => {
    assert.equal(Deno.readLinkSync(`/proc/thread-self/ns/${kind}`), before[index]);
    assert.notEqual(Deno.readLinkSync(`/proc/${pid}/ns/${kind}`), before[index]);
  });
  assert.equal(
    Deno.readLinkSync("/proc/thread-self/ns/pid_for_children"),
    Deno.readLinkSync("/proc/thread-self/ns/pid"),
  );
});

confined(
  "a process has an id of its own, no capabilities, and keeps its death signal",
  (_, pid) => {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const field = (name: string) =>
      new RegExp(`^${name}:(.*)$`, "m").exec(status)![1]!.trim().split(/\s+/);
    for (const name of ["Uid", "Gid"]) assert.deepEqual(field(name), Array(4).fill(String(ID)));
    assert.deepEqual(field("Groups"), [""]);
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.deepEqual(field(name), ["0000000000000000"], name);
    }
    assert.deepEqual(field("NoNewPrivs"), ["1"]);
  },
);

confined("the root of a process is emptied, and nobody can write to it", (child, pid) => {
  const cwd = Deno.cwd();
  assert.notDeepEqual([...Deno.readDirSync(`/proc/${pid}/root`)], []);
  emptyRoot(system, child.pid, Deno.makeTempDirSync());
  assert.deepEqual([...Deno.readDirSync(`/proc/${pid}/root`)], []);
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/mountinfo`).trim().split("\n").length, 2);
  assert.throws(() => Deno.writeTextFileSync(`/proc/${pid}/root/file`, ""), /os error 30/);
  assert.equal(Deno.readLinkSync(`/proc/${pid}/cwd`), "/");
  assert.equal(Deno.cwd(), cwd);
});

confined("what a process may use is bounded", (child, pid) => {
  const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
  const hard = (name: string) => new RegExp(`^${name} +\\S+ +(\\S+)`, "m").exec(limits)![1];
  assert.equal(hard("Max core file size"), "0");
  assert.equal(hard("Max open files"), "1024");
  assert.equal(hard("Max processes"), "512");
  assert.equal(hard("Max file size"), String(512 << 20));
  offerToOomKiller(child.pid);
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/oom_score_adj`).trim(), "100");
});
