import assert from "node:assert/strict";
import fc from "fast-check";
import { FdStream, isSystemError, O, system } from "../../ffi/mod.ts";
import { type RefusalKind, RefusedError } from "../base/refused_error.ts";
import { findInput, openOutput, outputPath } from "./stdio_target.ts";
import { openBelow, temporaryFolder } from "../testing/test_support.ts";

const never = new AbortController().signal;
const bytes = (text: string) => new TextEncoder().encode(text);

/** Makes a FIFO in a directory that is removed at the end of the scope. */
function fifo() {
  const directory = temporaryFolder();
  const path = `${directory.path}/fifo`;
  system.mkfifo(path, 0o600);
  return {
    path,
    reader: () => new FdStream(system.open(path, O.RDONLY | O.NONBLOCK)),
    writer: () => new FdStream(system.open(path, O.WRONLY | O.NONBLOCK)),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

async function readText(stream: FdStream): Promise<string | null> {
  const buffer = new Uint8Array(1 << 16);
  const count = await stream.read(buffer);
  return count === null ? null : new TextDecoder().decode(buffer.subarray(0, count));
}

function refuses(work: () => unknown, kind: RefusalKind, message: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof RefusedError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("addresses are FIFOs or files", () => {
  assert.deepEqual(outputPath("/run/fifo"), { kind: "fifo", path: "/run/fifo" });
  assert.deepEqual(outputPath("fifo:///run/fifo"), { kind: "fifo", path: "/run/fifo" });
  assert.deepEqual(outputPath("file:///var/log/a%20b.log"), {
    kind: "file",
    path: "/var/log/a b.log",
  });
  // A path may hold anything.
  assert.deepEqual(outputPath("/run/a://b"), { kind: "fifo", path: "/run/a://b" });
});

Deno.test("other schemes and relative paths are refused by name", () => {
  refuses(() => outputPath("binary:///usr/bin/logger"), "unsupported", /has scheme binary:\/\//);
  refuses(() => outputPath("npipe:////pipe"), "unsupported", /has scheme npipe:\/\//);
  refuses(() => outputPath("relative/fifo"), "invalid", /relative\/fifo/);
  refuses(() => outputPath(""), "invalid", /^stdio path "" must be absolute$/);
  refuses(() => outputPath("file://relative/path"), "invalid", /file:\/\/relative/);
  refuses(() => outputPath("file:///%"), "invalid", /file:\/\/\/%/);
});

Deno.test("any address is parsed into an absolute path, or refused", () => {
  const scheme = fc.constantFrom("", "/", "fifo://", "file://", "file:///", "binary://", "x://");
  const address = fc.tuple(scheme, fc.string()).map(([start, rest]) => start + rest);
  fc.assert(fc.property(address, (text) => {
    try {
      assert.ok(outputPath(text).path.startsWith("/"), text);
    } catch (error) {
      assert.ok(error instanceof RefusedError, String(error));
    }
  }));
});

Deno.test("an address that cannot be opened is refused by name, and nothing stays open", () => {
  using directory = temporaryFolder();
  const file = `${directory.path}/file`;
  Deno.writeTextFileSync(file, "");
  refuses(() => openOutput(`${directory.path}/none`), "invalid", /none/);
  refuses(() => openOutput(file), "invalid", /file is not a FIFO/);
  refuses(() => openOutput(`file://${directory.path}`), "invalid", /stdout or stderr/);
  refuses(() => findInput(`${directory.path}/none`), "invalid", /stdin .*none/);
  refuses(() => findInput(file), "invalid", /file is not a FIFO/);
  assert.deepEqual(openBelow(directory.path), []);
});

Deno.test("output is appended to a file, across turns of the event loop", async () => {
  using directory = temporaryFolder();
  const path = `${directory.path}/log`;
  Deno.writeTextFileSync(path, "old\n");
  using target = openOutput(`file://${path}`);
  for (let i = 0; i < 200; i++) await target.write(bytes("new\n"), { signal: never });
  target.expectReader();
  await target.write(bytes("last\n"), { signal: never });
  assert.equal(Deno.readTextFileSync(path), `old\n${"new\n".repeat(200)}last\n`);
});

Deno.test("a file:// address of a FIFO without a reader does not block the shim", () => {
  using pipe = fifo();
  refuses(() => openOutput(`file://${pipe.path}`), "invalid", /fifo/);
});

Deno.test("a reader may detach and come back without an error", async () => {
  using pipe = fifo();
  using target = openOutput(pipe.path);
  {
    using reader = pipe.reader();
    await target.write(bytes("first"), { signal: never });
    assert.equal(await readText(reader), "first");
  }
  await target.write(bytes("alone"), { signal: never });
  using reader = pipe.reader();
  await target.write(bytes(" again"), { signal: never });
  assert.equal(await readText(reader), "alone again");
});

Deno.test("a write to a full FIFO waits for a reader", async () => {
  using pipe = fifo();
  using target = openOutput(pipe.path);
  const text = "x".repeat(200_000);
  let taken = false;
  const written = target.write(bytes(text), { signal: never }).then(() => taken = true);
  using reader = pipe.reader();
  assert.ok(!taken);
  let read = 0;
  while (read < text.length) read += (await readText(reader))!.length;
  await written;
});

Deno.test("after expectReader, a missing reader is EPIPE", async () => {
  using pipe = fifo();
  using target = openOutput(pipe.path);
  const blocked = target.write(bytes("x".repeat(200_000)), { signal: never });
  target.expectReader();
  await assert.rejects(blocked, (error) => isSystemError(error, "EPIPE"));
  await assert.rejects(
    target.write(bytes("more"), { signal: never }),
    (error) => isSystemError(error, "EPIPE"),
  );
});

Deno.test("after expectReader, a reader gets the rest and then the end", async () => {
  using pipe = fifo();
  using reader = pipe.reader();
  {
    using target = openOutput(pipe.path);
    target.expectReader();
    target.expectReader();
    await target.write(bytes("the rest"), { signal: never });
  }
  assert.equal(await readText(reader), "the rest");
  assert.equal(await readText(reader), null);
});

Deno.test("unreadBytes counts the bytes in the FIFO, unless it has no reader", async () => {
  using pipe = fifo();
  using target = openOutput(pipe.path);
  await target.write(bytes("alone"), { signal: never });
  assert.equal(target.unreadBytes, 5, "a reader may come");
  {
    using reader = pipe.reader();
    target.expectReader();
    assert.equal(target.unreadBytes, 5);
    await readText(reader);
    assert.equal(target.unreadBytes, 0);
    await target.write(bytes("more"), { signal: never });
  }
  assert.equal(target.unreadBytes, 0);
});

Deno.test("an aborted signal ends a write that no reader takes", async () => {
  using pipe = fifo();
  using target = openOutput(pipe.path);
  const giveUp = new AbortController();
  const blocked = target.write(bytes("x".repeat(200_000)), { signal: giveUp.signal });
  giveUp.abort(new Error("drained"));
  await assert.rejects(blocked, /drained/);
});

Deno.test("stdin outlives its writers, and readNow does not wait", async () => {
  using pipe = fifo();
  const input = findInput(pipe.path).open();
  try {
    const buffer = new Uint8Array(64);
    const text = (count: number | null) =>
      count === null ? null : new TextDecoder().decode(buffer.subarray(0, count));
    assert.equal(input.readNow(buffer), null);
    for (const word of ["one", "two"]) {
      using writer = pipe.writer();
      await writer.write(bytes(word));
      assert.equal(text(await input.read(buffer)), word);
    }
    assert.equal(input.readNow(buffer), null);
    using writer = pipe.writer();
    await writer.write(bytes("three"));
    assert.equal(text(input.readNow(buffer)), "three");
    const stop = new AbortController();
    const waiting = input.read(buffer, { signal: stop.signal });
    stop.abort(new Error("closing"));
    await assert.rejects(waiting, /closing/);
  } finally {
    input.close();
    input.close();
  }
});

Deno.test("stdin has no reader until it is opened", async () => {
  using pipe = fifo();
  const found = findInput(pipe.path);
  assert.throws(() => pipe.writer(), (error) => isSystemError(error, "ENXIO"));
  // open takes the same FIFO, even if it was renamed.
  Deno.renameSync(pipe.path, `${pipe.path}.moved`);
  const input = found.open();
  using writer = new FdStream(system.open(`${pipe.path}.moved`, O.WRONLY | O.NONBLOCK));
  await writer.write(bytes("hi"));
  const buffer = new Uint8Array(8);
  assert.equal(await input.read(buffer), 2);
  input.close();
  found.close();
  found.close();
  writer.close();
  assert.deepEqual(openBelow(pipe.path), []);
});

Deno.test("close releases stdin that was never opened", () => {
  using pipe = fifo();
  const found = findInput(pipe.path);
  assert.deepEqual(openBelow(pipe.path), [pipe.path]);
  found.close();
  found.close();
  assert.deepEqual(openBelow(pipe.path), []);
});
