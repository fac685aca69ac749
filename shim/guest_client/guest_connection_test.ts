import assert from "node:assert/strict";
import {
  acceptStream,
  type ByteStream,
  Code,
  create,
  events,
  guest,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
  implement,
  memoryPair,
  packAny,
  RpcError,
  type ServiceImpl,
  TtrpcServer,
} from "../../proto/mod.ts";
import { answered, GuestConnection, type GuestExit } from "./guest_connection.ts";
import { settle } from "../testing/test_support.ts";

const never = new AbortController().signal;
type GuestSystem = Partial<ServiceImpl<typeof guest.System>>;

/** A guest in memory that serves these methods and knows these streams; null: it never says. */
async function connected(system: GuestSystem, streams: string[] | null = []) {
  const server = new TtrpcServer([implement(guest.System, system)]);
  const dialled: ByteStream[] = [];
  const dial = (port: number) => {
    const [ours, theirs] = memoryPair();
    dialled.push(ours);
    if (port === GUEST_RPC_PORT) void server.serve(theirs);
    else {
      assert.equal(port, GUEST_STREAM_PORT);
      if (streams !== null) {
        void acceptStream(theirs, (id) => streams.includes(id) || "no such stream");
      }
    }
    return Promise.resolve(ours);
  };
  const connection = await GuestConnection.open(dial, never);
  return { connection, server, dialled };
}

function exitEvent(init: Partial<events.TaskExit>): guest.GuestEvent {
  return create(guest.GuestEventSchema, {
    topic: "/tasks/exit",
    event: packAny(events.TaskExitSchema, init as never),
  });
}

/** What a guest that sends these events is understood to say. */
async function exitsOf(...sent: guest.GuestEvent[]): Promise<GuestExit[]> {
  const { connection, server } = await connected({
    events: async function* () {
      await null;
      yield* sent;
    },
  });
  const exits: GuestExit[] = [];
  try {
    for await (const event of connection.events(never)) {
      if ("exit" in event) exits.push(event);
    }
  } finally {
    connection[Symbol.dispose]();
    server.close();
  }
  return exits;
}

Deno.test("exits come in order, other events are skipped", async () => {
  const [first, second, ...more] = await exitsOf(
    create(guest.GuestEventSchema, { topic: "/tasks/oom" }),
    exitEvent({ containerId: "c1", id: "e1", exitStatus: 1 }),
    create(guest.GuestEventSchema, { topic: "/tasks/exit" }),
    exitEvent({
      containerId: "c1",
      id: "c1",
      exitStatus: 137,
      exitedAt: { seconds: 1_700_000_000n, nanos: 0 } as never,
    }),
  );
  assert.deepEqual(more, []);
  assert.equal(first!.processId, "e1");
  assert.deepEqual(second, {
    containerId: "c1",
    processId: "c1",
    exit: { status: 137, at: new Date(1_700_000_000_000) },
  });
});

Deno.test("a time that cannot be is the time at which it is heard", async () => {
  const before = Date.now();
  const max = (1n << 63n) - 1n;
  for (const seconds of [max, -max, -1n, 253_402_300_800n]) {
    const [exit] = await exitsOf(exitEvent({ exitedAt: { seconds, nanos: 0 } as never }));
    const at = exit!.exit.at.getTime();
    assert.ok(at >= before && at <= Date.now(), `${seconds}: ${at}`);
  }
  const [exit] = await exitsOf(exitEvent({}));
  assert.ok(exit!.exit.at.getTime() >= before);
});

Deno.test("an event that cannot be understood ends the events with an error", async () => {
  const broken = create(guest.GuestEventSchema, {
    topic: "/tasks/exit",
    event: { typeUrl: "containerd.events.TaskExit", value: Uint8Array.of(0xff) },
  });
  await assert.rejects(exitsOf(broken), RpcError);
  const foreign = create(guest.GuestEventSchema, {
    topic: "/tasks/exit",
    event: { typeUrl: "containerd.events.TaskStart", value: new Uint8Array() },
  });
  await assert.rejects(exitsOf(foreign), RpcError);
});

Deno.test("clock and name are set as asked", async () => {
  const asked: unknown[] = [];
  const { connection, server } = await connected({
    configure: ({ unixNanoseconds, hostname }) => {
      asked.push([unixNanoseconds, hostname]);
      return {};
    },
  });
  await connection.configure({ hostname: "box", unixNanoseconds: 12_345n }, never);
  assert.deepEqual(asked, [[12_345n, "box"]]);
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("a stream that the guest refuses is closed", async () => {
  const { connection, server, dialled } = await connected({}, ["c1/init/stdout"]);
  assert.equal(await connection.stream("c1/init/stdout", never), dialled[1]);
  await assert.rejects(
    connection.stream("c1/init/stderr", never),
    (error) => error instanceof RpcError && error.code === Code.NotFound,
  );
  await assert.rejects(dialled[2]!.write(Uint8Array.of(0)));
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("a call that the guest leaves unanswered fails by name", async () => {
  const { connection, server } = await connected({ shutdown: () => new Promise(() => {}) });
  await assert.rejects(
    answered("Shutdown", 20, (timeoutMs) => connection.shutdown(timeoutMs)),
    { code: Code.DeadlineExceeded, message: "guest did not answer Shutdown within 0.02 s" },
  );
  const other = new RpcError(Code.NotFound, "no such thing");
  await assert.rejects(answered("Shutdown", 20, () => Promise.reject(other)), other);
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("a stream for which the guest does not answer is closed in time", async () => {
  const { connection, server, dialled } = await connected({}, null);
  await assert.rejects(
    connection.stream("c1/init/stdout", never, 20),
    { code: Code.DeadlineExceeded, message: /^guest did not answer for stream c1\/init\/stdout/ },
  );
  await assert.rejects(dialled[1]!.write(Uint8Array.of(0)));
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("the end of the connection is told, and fails what is under way", async () => {
  const { connection, server } = await connected({ shutdown: () => new Promise(() => {}) });
  const shutdown = connection.shutdown(60_000);
  await settle();
  server.close();
  await connection.closed;
  await assert.rejects(
    shutdown,
    (error) => error instanceof RpcError && error.code === Code.Unavailable,
  );
});
