import assert from "node:assert/strict";
import { FdStream, O, system } from "../../ffi/mod.ts";
import { type ByteStream, FrameReader, FrameWriter } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { ProcessIo } from "./process_io.ts";
import { MemoryLog, openBelow, settle, temporaryFolder } from "../testing/test_support.ts";
import type { StdioAddresses } from "./process_name.ts";

type Kind = keyof StdioAddresses;

/** A guest's streams in memory, and FIFOs on the host that a test may name. */
class Setting implements Disposable {
  readonly log = new MemoryLog();
  readonly opened: Kind[] = [];
  readonly guest: Record<Kind, ByteStream>;
  readonly host: Record<Kind, ByteStream>;
  readonly #directory = temporaryFolder();
  readonly #clients: FdStream[] = [];
  firstBytes = 0;

  constructor() {
    const pairs = { stdin: memoryPair(), stdout: memoryPair(), stderr: memoryPair() };
    this.host = { stdin: pairs.stdin[0], stdout: pairs.stdout[0], stderr: pairs.stderr[0] };
    this.guest = { stdin: pairs.stdin[1], stdout: pairs.stdout[1], stderr: pairs.stderr[1] };
    for (const kind of ["stdin", "stdout", "stderr"]) {
      system.mkfifo(`${this.#directory.path}/${kind}`, 0o600);
    }
  }

  /** containerd's end of a FIFO. */
  client(kind: Kind): FdStream {
    const flags = kind === "stdin" ? O.WRONLY : O.RDONLY;
    const stream = new FdStream(system.open(this.path(kind), flags | O.NONBLOCK));
    this.#clients.push(stream);
    return stream;
  }

  /** Returns the FIFOs that this process has open. */
  held(): string[] {
    return openBelow(this.#directory.path);
  }

  path(kind: Kind): string {
    return `${this.#directory.path}/${kind}`;
  }

  open(...kinds: Kind[]): Promise<ProcessIo> {
    const address = (kind: Kind) => kinds.includes(kind) ? this.path(kind) : "";
    return this.openAt({
      stdin: address("stdin"),
      stdout: address("stdout"),
      stderr: address("stderr"),
    });
  }

  openAt(addresses: StdioAddresses, fail?: Kind): Promise<ProcessIo> {
    const stream = (kind: Kind) => {
      this.opened.push(kind);
      return kind === fail
        ? Promise.reject(new Error(`no stream ${kind}`))
        : Promise.resolve(this.host[kind]);
    };
    return ProcessIo.open(addresses, stream, {}, this.log, () => this.firstBytes++);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
    for (const kind of ["stdin", "stdout", "stderr"] as const) {
      this.guest[kind].close();
      this.host[kind].close();
    }
    this.#directory[Symbol.dispose]();
  }
}

/** Reads everything up to the end. */
async function text(next: () => Promise<Uint8Array | null>): Promise<string> {
  let all = "";
  for (let chunk = await next(); chunk !== null; chunk = await next()) {
    all += new TextDecoder().decode(chunk);
  }
  return all;
}

function readsOf(stream: ByteStream): () => Promise<Uint8Array | null> {
  const buffer = new Uint8Array(1 << 16);
  return async () => {
    const count = await stream.read(buffer);
    return count === null ? null : buffer.subarray(0, count);
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("stdout and stderr are copied to their own FIFOs", async () => {
  using setting = new Setting();
  const [stdout, stderr] = [setting.client("stdout"), setting.client("stderr")];
  const io = await setting.open("stdout", "stderr");
  assert.deepEqual(setting.opened, ["stdout", "stderr"]);
  for (const kind of ["stdout", "stderr"] as const) {
    const writer = new FrameWriter(setting.guest[kind]);
    await writer.write(bytes(`this is ${kind}`));
    await writer.end();
  }
  let isDrained = false;
  const drained = io.drain(1000).then(() => isDrained = true);
  assert.equal(await text(readsOf(stdout)), "this is stdout");
  await settle();
  assert.ok(!isDrained, "before stderr is read");
  assert.equal(await text(readsOf(stderr)), "this is stderr");
  await drained;
  assert.deepEqual(setting.log.lines, []);
  assert.ok(setting.firstBytes > 0);
});

Deno.test("a client's write blocks until the start, and stdin ends with CloseIO after all input", async () => {
  using setting = new Setting();
  const io = await setting.open("stdin");
  // Nobody has opened the FIFO for reading: a client's open, and so its first write, blocks.
  assert.throws(() => setting.client("stdin"), { code: "ENXIO" });
  io.start();
  const client = setting.client("stdin");
  await client.write(bytes("one, "));
  await client.write(bytes("two"));
  io.closeStdin();
  io.closeStdin();
  const reader = new FrameReader(setting.guest.stdin);
  assert.equal(await text(() => reader.read()), "one, two");
  await io.drain(1000);
});

Deno.test("CloseIO before the start ends stdin with the start", async () => {
  using setting = new Setting();
  const io = await setting.open("stdin");
  io.closeStdin();
  io.start();
  const reader = new FrameReader(setting.guest.stdin);
  assert.equal(await text(() => reader.read()), "");
});

Deno.test("the stream of stdin stays open until the guest has read the end", async () => {
  using setting = new Setting();
  const io = await setting.open("stdin");
  io.start();
  io.closeStdin();
  await settle();
  // A closed stream would take no more bytes.
  await setting.guest.stdin.write(Uint8Array.of(0));
  const reader = new FrameReader(setting.guest.stdin);
  assert.equal(await text(() => reader.read()), "");
  await settle();
  await assert.rejects(setting.host.stdin.write(Uint8Array.of(0)));
});

Deno.test("without stdio nothing is opened or waited for", async () => {
  using setting = new Setting();
  const io = await setting.open();
  io.start();
  io.closeStdin();
  await io.drain(1000);
  await io[Symbol.asyncDispose]();
  assert.deepEqual(setting.opened, []);
});

Deno.test("an address or stream that cannot be opened fails open, and nothing stays open", async () => {
  using setting = new Setting();
  const good = { stdin: setting.path("stdin"), stdout: setting.path("stdout"), stderr: "" };
  const cases: [StdioAddresses, Kind | undefined, RegExp][] = [
    [{ ...good, stderr: "/no/such/fifo" }, undefined, /no\/such\/fifo/],
    [{ ...good, stdin: "/no/such/fifo" }, undefined, /stdin .*no\/such\/fifo/],
    [good, "stdout", /no stream stdout/],
    [good, "stdin", /no stream stdin/],
  ];
  for (const [addresses, fail, message] of cases) {
    await assert.rejects(setting.openAt(addresses, fail), message);
    assert.deepEqual(setting.held(), [], String(message));
  }
  // The streams that opened were closed again.
  await settle();
  await assert.rejects(setting.guest.stdout.write(Uint8Array.of(1)));
});

Deno.test("lost output is logged with its stream and the reason", async () => {
  using setting = new Setting();
  setting.client("stdout");
  const io = await setting.open("stdout", "stderr");
  await new FrameWriter(setting.guest.stderr).write(bytes("x"));
  await settle();
  setting.guest.stdout.close();
  setting.guest.stderr.close();
  await io.drain(1000);
  const warnings = setting.log.at("warn").sort();
  assert.equal(warnings.length, 2, warnings.join());
  assert.match(warnings[0]!, /^guest's stream broke off: .* stream=stderr$/);
  assert.match(warnings[1]!, /^guest's stream broke off: .* stream=stdout$/);
});

Deno.test("disposing closes everything, started or not, also while draining", async () => {
  for (const started of [false, true]) {
    using setting = new Setting();
    const io = await setting.open("stdin", "stdout", "stderr");
    if (started) io.start();
    const drained = io.drain(1 << 30);
    await Promise.all([io[Symbol.asyncDispose](), io[Symbol.asyncDispose]()]);
    await drained;
    await settle();
    assert.deepEqual(setting.held(), []);
    await assert.rejects(setting.guest.stdout.write(Uint8Array.of(1)));
  }
});
