import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { type Fd, poller, system } from "../../ffi/mod.ts";
import { copyInput, type InputSource } from "./pipe_input.ts";

/** Yields `chunks`, then ends, or hangs. */
function source(chunks: Uint8Array[], hangs: boolean = false): InputSource {
  const rest = [...chunks];
  return {
    read: () => {
      const chunk = rest.shift();
      if (chunk === undefined && hangs) return new Promise(() => {});
      return Promise.resolve(chunk ?? null);
    },
  };
}

/** A pipe that stands for a process's stdin. */
function pipe(): { read: Fd; write: Fd; closeRead: () => void } & Disposable {
  const { read, write } = system.pipe({ nonblock: "both" });
  let open = true;
  const closeRead = (): void => {
    if (open) system.close(read);
    open = false;
  };
  return {
    read,
    write,
    closeRead,
    [Symbol.dispose]: () => {
      closeRead();
      system.close(write);
    },
  };
}

const never = (): AbortSignal => new AbortController().signal;

Deno.test("copyInput copies more input than a pipe holds, to its end", async () => {
  using stdin = pipe();
  const chunk = crypto.getRandomValues(new Uint8Array(65_536));
  const copied = copyInput(system, poller, source([chunk, chunk, chunk]), stdin.write, never());
  const got: number[] = [];
  const buffer = new Uint8Array(10_000);
  while (got.length < 3 * chunk.length) {
    await poller.wait(stdin.read, "readable");
    got.push(...buffer.subarray(0, system.read(stdin.read, buffer)!));
  }
  assert.equal(await copied, "ended");
  assert.deepEqual(got, [...chunk, ...chunk, ...chunk]);
});

Deno.test("a process that never reads blocks only its own copy", async () => {
  using stdin = pipe();
  const exited = new AbortController();
  const chunk = new Uint8Array(65_536);
  const copied = copyInput(system, poller, source([chunk, chunk]), stdin.write, exited.signal);
  await delay(0); // the pipe is full now
  exited.abort();
  assert.equal(await copied, "exited");
});

Deno.test("an exit ends a copy that waits for the host", async () => {
  using stdin = pipe();
  const exited = new AbortController();
  const copied = copyInput(system, poller, source([], true), stdin.write, exited.signal);
  exited.abort();
  assert.equal(await copied, "exited");
  const gone = copyInput(system, poller, source([], true), stdin.write, AbortSignal.abort());
  assert.equal(await gone, "exited");
});

Deno.test("a process that closes its stdin ends the copy", async () => {
  using stdin = pipe();
  stdin.closeRead();
  const copied = copyInput(system, poller, source([Uint8Array.of(1)], true), stdin.write, never());
  assert.equal(await copied, "closed by the process");
});

Deno.test("a process that closes its stdin while the pipe is full ends the copy", async () => {
  using stdin = pipe();
  const chunk = new Uint8Array(65_536);
  const copied = copyInput(system, poller, source([chunk, chunk], true), stdin.write, never());
  await delay(0);
  stdin.closeRead();
  assert.equal(await copied, "closed by the process");
});

Deno.test("copyInput throws the error of a broken connection", async () => {
  using stdin = pipe();
  const broken: InputSource = { read: () => Promise.reject(new Error("cut off")) };
  await assert.rejects(copyInput(system, poller, broken, stdin.write, never()), /cut off/);
});
