import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { type Fd, poller, system } from "../../ffi/mod.ts";
import { copyOutput, type OutputSink } from "./pipe_output.ts";

/** Collects what it is sent. `onSend` may delay a send or fail it. */
function memorySink(onSend: () => Promise<void> = () => Promise.resolve()) {
  const space = new Uint8Array(65_536);
  const chunks: Uint8Array[] = [];
  let ended = 0;
  const sink: OutputSink = {
    space,
    send: async (bytes) => {
      chunks.push(space.slice(0, bytes));
      await onSend();
    },
    end: () => {
      ended++;
      return Promise.resolve();
    },
  };
  return { sink, bytes: () => chunks.flatMap((chunk) => [...chunk]), ended: () => ended };
}

/** A pipe that stands for a process's stdout, closed when disposed. */
function pipe(): { read: Fd; write: Fd; closeWrite: () => void } & Disposable {
  const { read, write } = system.pipe({ nonblock: "read" });
  let open = true;
  const closeWrite = (): void => {
    if (open) system.close(write);
    open = false;
  };
  return {
    read,
    write,
    closeWrite,
    [Symbol.dispose]: () => {
      closeWrite();
      system.close(read);
    },
  };
}

Deno.test("copyOutput copies output to its end, including earlier output", async () => {
  using stdout = pipe();
  const { sink, bytes, ended } = memorySink();
  system.write(stdout.write, Uint8Array.of(1, 2));
  const copied = copyOutput(system, poller, stdout.read, sink, new AbortController().signal);
  await delay(0);
  system.write(stdout.write, Uint8Array.of(3));
  stdout.closeWrite();
  await copied;
  assert.deepEqual(bytes(), [1, 2, 3]);
  assert.equal(ended(), 1);
});

Deno.test("after the exit the pipe is emptied, even if another process has its write end", async () => {
  using stdout = pipe();
  const { sink, bytes, ended } = memorySink();
  const exited = new AbortController();
  const copied = copyOutput(system, poller, stdout.read, sink, exited.signal);
  await delay(0); // the copy waits for the pipe now
  const last = crypto.getRandomValues(new Uint8Array(65_536));
  assert.equal(system.write(stdout.write, last), last.length);
  exited.abort();
  await copied;
  assert.deepEqual(bytes(), [...last]);
  assert.equal(ended(), 1);
});

Deno.test("output of a process that exited before the copy is copied", async () => {
  using stdout = pipe();
  const { sink, bytes, ended } = memorySink();
  system.write(stdout.write, Uint8Array.of(1));
  await copyOutput(system, poller, stdout.read, sink, AbortSignal.abort());
  assert.deepEqual(bytes(), [1]);
  assert.equal(ended(), 1);
});

Deno.test("a reader that went away does not block the process", async () => {
  using stdout = pipe();
  const { sink, ended } = memorySink(() => Promise.reject(new Error("reader is gone")));
  const copied = copyOutput(system, poller, stdout.read, sink, new AbortController().signal);
  const failed = assert.rejects(copied, /reader is gone/);
  system.setNonblock(stdout.write, true);
  const chunk = new Uint8Array(65_536);
  for (let written = 0; written < 4 * chunk.length;) {
    const taken = system.write(stdout.write, chunk);
    if (taken === null) await poller.wait(stdout.write, "writable");
    else written += taken;
  }
  stdout.closeWrite();
  await failed;
  assert.equal(ended(), 0);
});
