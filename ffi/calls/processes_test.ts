import assert from "node:assert/strict";
import { after } from "../../base/mod.ts";
import { Child } from "../child.ts";
import { SIG } from "../constants.ts";
import { FdStream } from "../fd_stream.ts";
import { poller } from "../poller.ts";
import { system } from "../real_system.ts";
import type { Pid } from "../system.ts";
import { isSystemError } from "../system_error.ts";

const throwsWith = (code: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code));

Deno.test("a pidfd is readable once the process has exited, and peek does not reap it", async () => {
  // It waits for input that never comes.
  const { read, write } = system.pipe();
  const pid = system.spawn({ path: "/bin/cat", args: [], fds: { 0: read } });
  const pidfd = system.pidfdOpen(pid);
  assert.equal(system.waitChild(pid), null);
  assert.equal(system.waitChild("any", { peek: true }), null);
  system.pidfdSendSignal(pidfd, SIG.KILL);
  await poller.wait(pidfd, "readable");
  const peeked = system.waitChild("any", { peek: true })!;
  const { pid: reaped, code, signal } = system.waitChild(pid)!;
  assert.deepEqual([peeked.pid, reaped, code, signal], [pid, pid, 137, SIG.KILL]);
  throwsWith("ECHILD", () => system.waitChild(pid));
  throwsWith("ESRCH", () => system.pidfdSendSignal(pidfd, 0));
  throwsWith("ESRCH", () => system.pidfdOpen(pid));
  for (const fd of [pidfd, read, write]) system.close(fd);
});

Deno.test("invalid pids, signals and descriptors fail with their errno", () => {
  assert.equal(system.getpid(), Deno.pid);
  system.kill(system.getpid(), 0);
  throwsWith("ESRCH", () => system.kill(4_194_305 as Pid, 0));
  throwsWith("EINVAL", () => system.setParentDeathSignal(4711));
  throwsWith("EBADF", () => system.setns(-1 as never, 0));
  throwsWith("EINVAL", () => system.unshare(1));
});

Deno.test("a subreaper becomes the parent of orphans", async () => {
  const { read, write } = system.pipe({ nonblock: "read" });
  system.setChildSubreaper(true);
  try {
    const shell = Child.spawn({
      path: "/bin/sh",
      args: ["-c", "sleep 1000 > /dev/null & echo $!"],
      fds: { 1: write },
    });
    system.close(write);
    using stream = new FdStream(read);
    const into = new Uint8Array(32);
    const count = (await stream.read(into))!;
    const orphan = Number(new TextDecoder().decode(into.subarray(0, count))) as Pid;
    await shell.exited;
    const status = await Deno.readTextFile(`/proc/${orphan}/status`);
    assert.match(status, new RegExp(`^PPid:\\s${Deno.pid}$`, "m"));
    const pidfd = system.pidfdOpen(orphan);
    system.kill(orphan, SIG.KILL);
    await poller.wait(pidfd, "readable");
    assert.equal(system.waitChild(orphan)?.signal, SIG.KILL);
    system.close(pidfd);
  } finally {
    system.setChildSubreaper(false);
  }
});

Deno.test("setParentDeathSignal kills a process with its parent", async () => {
  const mod = new URL("../mod.ts", import.meta.url).href;
  const program = `
    import { SIG, system } from ${JSON.stringify(mod)};
    system.setParentDeathSignal(SIG.KILL);
    console.log("armed");
    setInterval(() => {}, 1000);
  `;
  const { read, write } = system.pipe({ nonblock: "read" });
  const parent = Child.spawn({
    path: "/bin/sh",
    args: ["-c", '"$@" & wait', "sh", Deno.execPath(), "eval", "--no-lock", program],
    fds: { 1: write },
  });
  system.close(write);
  using stream = new FdStream(read);
  const into = new Uint8Array(32);
  assert.equal(await stream.read(into), 6);
  parent.kill(SIG.KILL);
  await parent.exited;
  // The pipe ends when its last writer exits. The deadline fails the test if one survives.
  const deadline = new AbortController();
  using _timer = after(20_000, () => deadline.abort(new Error("it lives on")));
  assert.equal(await stream.read(into, { signal: deadline.signal }), null);
});
