import assert from "node:assert/strict";
import type { ByteStream } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { ProcessIo } from "../stdio/process_io.ts";
import { MemoryLog, temporaryFolder } from "../testing/test_support.ts";
import { begin, ioOf, openGuestIo } from "./guest_io.ts";
import { streamIds } from "./stream_ids.ts";

const { signal } = new AbortController();

/** A guest that accepts every stream and remembers its id. */
class Streams {
  readonly opened: string[] = [];
  readonly guestSides: ByteStream[] = [];

  stream(id: string): Promise<ByteStream> {
    const [host, guest] = memoryPair();
    this.opened.push(id);
    this.guestSides.push(guest);
    return Promise.resolve(host);
  }
}

/** The stdio of a process with files as its output. */
async function opened(
  execId: string,
  terminal: boolean,
): Promise<{ io: ProcessIo; guest: Streams; log: MemoryLog }> {
  using directory = temporaryFolder();
  const guest = new Streams();
  const log = new MemoryLog();
  const address = (kind: string) => `file://${directory.path}/${kind}`;
  const addresses = { stdin: "", stdout: address("out"), stderr: address("err") };
  const name = { id: "c1", execId, terminal, ...addresses };
  const io = await openGuestIo(name, guest, { namespace: "ns", log, signal });
  const ids = Object.values(streamIds(name)).filter((id) => id !== "");
  assert.deepEqual(guest.opened, ids, "both sides derive the same ids");
  return { io, guest, log };
}

Deno.test("streams are opened by the ids of init or exec process, a terminal has no stderr", async () => {
  const cases: [string, boolean, string[]][] = [
    ["", false, ["c1/stdout", "c1/stderr"]],
    ["", true, ["c1/stdout"]],
    ["e1", false, ["c1/e1/stdout", "c1/e1/stderr"]],
    ["e1", true, ["c1/e1/stdout"]],
  ];
  for (const [execId, terminal, ids] of cases) {
    const { io, guest } = await opened(execId, terminal);
    assert.deepEqual(guest.opened, ids);
    await io[Symbol.asyncDispose]();
  }
});

Deno.test("lost output is logged with container and exec id", async () => {
  for (const [execId, fields] of [["", "container=c1"], ["e1", "container=c1 exec=e1"]] as const) {
    const { io, guest, log } = await opened(execId, true);
    guest.guestSides[0]!.close();
    await io.drain(1000);
    assert.equal(log.at("warn").length, 1);
    assert.match(
      log.at("warn")[0]!,
      new RegExp(`^guest's stream broke off: .* ${fields} stream=stdout$`),
    );
    await io[Symbol.asyncDispose]();
  }
});

Deno.test("begin turns a throw into a rejection", async () => {
  const error = new Error("at once");
  const begun = begin(() => {
    throw error;
  });
  await assert.rejects(begun, error);
  assert.equal(await begin(() => 1), 1);
});

Deno.test("ioOf returns the stdio when all other steps have succeeded", async () => {
  const { io } = await opened("", false);
  const failed = new AbortController();
  assert.equal(await ioOf(Promise.resolve(io), [Promise.resolve()], failed), io);
  assert.ok(!failed.signal.aborted);
  await io[Symbol.asyncDispose]();
});

Deno.test("the first failure aborts the other steps and closes the stdio", async () => {
  const { io, guest } = await opened("", false);
  const failed = new AbortController();
  const error = new Error("first");
  const other = Promise.withResolvers<void>();
  failed.signal.addEventListener("abort", () => other.reject(failed.signal.reason));
  await assert.rejects(
    ioOf(Promise.resolve(io), [Promise.reject(error), other.promise], failed),
    error,
  );
  assert.equal(failed.signal.reason, error);
  await assert.rejects(guest.guestSides[0]!.write(Uint8Array.of(1)));
});
