import assert from "node:assert/strict";
import { type Fd, poller, system } from "../../ffi/mod.ts";
import { FrameReader, FrameWriter } from "../../proto/mod.ts";
import { DialedStreams, readText } from "../testing/dialed_streams.ts";
import { PipeStdio } from "./pipe_stdio.ts";
import { StreamRegistry } from "./stream_registry.ts";

const IDS = { stdin: "c/stdin", stdout: "c/stdout", stderr: "c/stderr" };

/**
 * Returns a PipeStdio, the process's ends of it as a child would have them, and a function that
 * dials a stream; with `made`, crun has created the process.
 */
function setUp(ids = IDS, { made = true }: { made?: boolean } = {}) {
  const streams = new StreamRegistry();
  const stdio = new PipeStdio({ system, poller, streams }, ids);
  // Stand for the copies that a child gets when it is spawned.
  const child = [0, 1, 2].map((number) => {
    const fd = stdio.childFds[number];
    return fd === undefined || fd === "null" ? null : system.duplicate(fd);
  });
  stdio.closeChildEnds();
  if (made) stdio.created();
  const { dial, served } = new DialedStreams(streams);
  /** Ends the child. */
  const exit = (): void => {
    for (const fd of child.splice(0)) if (fd !== null) system.close(fd);
    stdio.exited();
  };
  return { stdio, child: child as Fd[], dial, exit, served };
}

Deno.test("stdout and stderr are separate and end with the process", async () => {
  const { stdio, child, dial, exit, served } = setUp();
  const out = readText(new FrameReader(await dial(IDS.stdout)));
  const err = readText(new FrameReader(await dial(IDS.stderr)));
  system.write(child[1] as Fd, new TextEncoder().encode("out"));
  system.write(child[2] as Fd, new TextEncoder().encode("err"));
  exit();
  assert.deepEqual([await out, await err], ["out", "err"]);
  await Promise.all(served);
  stdio[Symbol.dispose]();
});

Deno.test("output dialed after the exit is complete", async () => {
  const { stdio, child, dial, exit, served } = setUp();
  system.write(child[1] as Fd, new TextEncoder().encode("late"));
  exit();
  assert.equal(await readText(new FrameReader(await dial(IDS.stdout))), "late");
  await Promise.all(served);
  stdio[Symbol.dispose]();
});

Deno.test("crun's error message is not the output of a process that was never created", async () => {
  const { stdio, child, dial, exit, served } = setUp(IDS, { made: false });
  const early = readText(new FrameReader(await dial(IDS.stdout)));
  system.write(child[1] as Fd, new TextEncoder().encode("no such command"));
  exit();
  assert.equal(await early, "");
  assert.equal(await readText(new FrameReader(await dial(IDS.stderr))), "");
  await Promise.all(served);
  stdio[Symbol.dispose]();
});

Deno.test("stdin ends after its last byte", async () => {
  const { stdio, child, dial, exit, served } = setUp();
  const writer = new FrameWriter(await dial(IDS.stdin));
  stdio.closeInput(); // no effect: the stream is dialed, and its end frame follows
  await writer.write(new TextEncoder().encode("hi"));
  await writer.end();
  await Promise.all(served);
  const buffer = new Uint8Array(8);
  assert.equal(system.read(child[0] as Fd, buffer), 2);
  assert.equal(system.read(child[0] as Fd, buffer), 0);
  exit();
  stdio[Symbol.dispose]();
});

Deno.test("stdin that was never dialed can be closed", () => {
  const { stdio, child, exit } = setUp();
  stdio.closeInput();
  assert.equal(system.read(child[0] as Fd, new Uint8Array(1)), 0);
  exit();
  stdio[Symbol.dispose]();
});

Deno.test("stdin dialed after the exit is closed", async () => {
  const { stdio, dial, exit, served } = setUp();
  exit();
  const host = await dial(IDS.stdin);
  assert.equal(await host.read(new Uint8Array(1)), null);
  await Promise.all(served);
  stdio[Symbol.dispose]();
});

Deno.test("an exit ends stdin that the host keeps open", async () => {
  const { stdio, dial, exit, served } = setUp();
  const host = await dial(IDS.stdin);
  await new FrameWriter(host).write(Uint8Array.of(1));
  exit();
  assert.equal(await host.read(new Uint8Array(1)), null);
  await Promise.all(served);
  stdio[Symbol.dispose]();
});

Deno.test("dispose cuts off undelivered output and leaks no descriptor", async () => {
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const { stdio, dial, exit, served } = setUp();
  const reader = new FrameReader(await dial(IDS.stdout));
  stdio[Symbol.dispose]();
  await assert.rejects(readText(reader), /cut off/);
  await Promise.all(served);
  exit();
  await assert.rejects(dial(IDS.stderr), /no such stream/);
  assert.ok([...Deno.readDirSync("/proc/self/fd")].length <= before + 2); // epoll and its eventfd
});

Deno.test("a process without streams gets /dev/null", () => {
  const { stdio } = setUp({ stdin: "", stdout: "", stderr: "" });
  assert.deepEqual(stdio.childFds, { 0: "null", 1: "null", 2: "null" });
  stdio[Symbol.dispose]();
});

Deno.test("an id in use fails the constructor, which leaks no descriptor", () => {
  const streams = new StreamRegistry();
  streams.add(IDS.stderr, () => Promise.resolve());
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  assert.throws(() => new PipeStdio({ system, poller, streams }, IDS), /already exists/);
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
  streams.add(IDS.stdin, () => Promise.resolve()); // free
  streams.add(IDS.stdout, () => Promise.resolve());
});
