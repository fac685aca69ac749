/**
 * Our TTRPC against containerd's own, in both roles, over a unix socket. The peer is a small Go
 * program beside this file, built in a temporary directory.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type ByteStream,
  Code,
  createClient,
  guest,
  implement,
  MESSAGE_BYTES_MAX,
  packAny,
  RpcError,
  runcOptions,
  taskV3,
  TtrpcConnection,
  TtrpcServer,
  unpackAny,
} from "../../../proto/mod.ts";

const SOURCE = dirname(fileURLToPath(import.meta.url));
const NEARLY_ALL = MESSAGE_BYTES_MAX - 100;

const missing = await whyNot();

peerTest("our client works with containerd's server", async (peer, socket) => {
  await using server = await startServer(peer, socket);
  const stream = byteStream(await Deno.connect({ transport: "unix", path: server.socket }));
  const connection = new TtrpcConnection(stream);
  const tasks = createClient(taskV3.Task, connection);
  try {
    const mount = { type: "erofs" };
    assert.equal((await tasks.create({ id: "abc", rootfs: [mount] })).pid, 4);
    await tasks.pause({});
    await assert.rejects(tasks.state({}), (error) => {
      assert.ok(error instanceof RpcError);
      assert.deepEqual([error.code, error.message], [Code.NotFound, "no such task"]);
      assert.equal(unpackAny(runcOptions.ProcessDetailsSchema, error.details![0]!).execId, "e1");
      return true;
    });
    await assert.rejects(createClient(guest.Bundles, connection).create({}), {
      code: Code.Unimplemented,
    });
    const metadata = new Map([["containerd-namespace-ttrpc", ["k8s.io"]]]);
    assert.equal((await tasks.connect({}, { metadata })).version, "k8s.io");
    // Both sides know the deadline; the answer is the same whichever side is first.
    await assert.rejects(tasks.wait({}, { timeoutMs: 20 }), { code: Code.DeadlineExceeded });
    const { stats } = await tasks.stats({ id: "x" });
    assert.equal(stats?.value.length, NEARLY_ALL);
    const calls = Array.from(
      { length: 100 },
      (_, length) => tasks.create({ id: "x".repeat(length) }),
    );
    assert.deepEqual((await Promise.all(calls)).map((answer) => answer.pid), [
      ...Array(100).keys(),
    ]);
    const topics: string[] = [];
    await assert.rejects(async () => {
      const events = createClient(guest.System, connection).events({});
      for await (const event of events) topics.push(event.topic);
    }, { code: Code.Aborted, message: "stream aborted" });
    assert.deepEqual(topics, Array.from({ length: 200 }, (_, index) => `/${index}`));
  } finally {
    connection.close();
  }
});

peerTest("containerd's client works with our server", async (peer, socket) => {
  const listener = Deno.listen({ transport: "unix", path: socket });
  const details = [packAny(runcOptions.ProcessDetailsSchema, { execId: "e1" })];
  // The peer asks for the events twice; the second stream fails.
  let streamed = 0;
  const server = new TtrpcServer([
    implement(taskV3.Task, {
      create: (request) => ({ pid: request.id.length + request.rootfs.length }),
      pause: () => ({}),
      state: () => {
        throw new RpcError(Code.NotFound, "no such task", { details });
      },
      connect: (_, { metadata, deadline }) => {
        assert.ok(deadline! > Date.now());
        return { version: metadata.get("containerd-namespace-ttrpc")![0]! };
      },
      stats: (request) => ({ stats: { value: new Uint8Array(request.id.length) } }),
    }),
    implement(guest.System, {
      async *events() {
        const failing = streamed++ > 0;
        for (let index = 0; index < 200; index++) yield { topic: `/${index}` };
        if (failing) throw new RpcError(Code.Aborted, "stream aborted");
      },
    }),
  ], { onError: (error) => console.error(error) });
  const served = listener.accept().then((connection) => server.serve(byteStream(connection)));
  try {
    const { code, stdout, stderr } = await new Deno.Command(peer, { args: ["call", socket] })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
      pid: 4,
      pause: "OK",
      state: "NotFound: no such task",
      detail: "e1",
      kill: "Unimplemented",
      service: "Unimplemented",
      namespace: "k8s.io",
      big: NEARLY_ALL,
      answers: [...Array(100).keys()],
      topics: Array.from({ length: 200 }, (_, index) => `/${index}`),
      stream: "<nil>",
      "failed stream": "Aborted",
    });
    await served;
  } finally {
    listener.close();
    server.close();
  }
});

function peerTest(name: string, fn: (peer: string, socket: string) => Promise<void>): void {
  Deno.test({
    name: name + (missing === null ? "" : ` (skipped: ${missing})`),
    ignore: missing !== null,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "qemubox-ttrpc-" });
      try {
        const peer = join(folder, "peer");
        const built = await go("build", "-o", peer, ".");
        assert.equal(built.success, true, new TextDecoder().decode(built.stderr));
        await fn(peer, join(folder, "socket"));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Returns why the peer cannot be built here, or null if it can. */
async function whyNot(): Promise<string | null> {
  try {
    const { success } = await go("mod", "download");
    return success ? null : "the Go modules cannot be downloaded";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no go on PATH";
    throw error;
  }
}

function go(...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("go", { args, cwd: SOURCE, stdin: "null" }).output();
}

async function startServer(
  peer: string,
  socket: string,
): Promise<AsyncDisposable & { socket: string }> {
  const process = new Deno.Command(peer, {
    args: ["serve", socket],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = process.stdout.getReader();
  const { value } = await output.read();
  assert.equal(new TextDecoder().decode(value), "ready\n");
  return {
    socket,
    async [Symbol.asyncDispose]() {
      await process.stdin.close();
      await output.cancel();
      await process.status;
    },
  };
}

function byteStream(connection: Deno.Conn): ByteStream {
  let closed = false;
  return {
    read: (into) =>
      connection.read(into).catch((error) => {
        if (closed) return null;
        throw error;
      }),
    async write(data) {
      for (let rest = data; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    },
    close() {
      if (!closed) connection.close();
      closed = true;
    },
  };
}
