import assert from "node:assert/strict";
import { BUILD, delay } from "../../base/mod.ts";
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
  packAny,
  RpcError,
  type ServiceImpl,
  TtrpcServer,
} from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { answered, GuestConnection, type GuestExit } from "./guest_connection.ts";
import { settle } from "../testing/test_support.ts";

const never = new AbortController().signal;
type GuestSystem = Partial<ServiceImpl<typeof guest.System>>;

/**
 * Connects to an in-memory guest with these methods and streams; null: it answers for no stream.
 */
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

/** The exits that come out of a guest that sends these events. */
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

Deno.test("events yields exits in order and skips unknown topics", async () => {
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

Deno.test("a guest that floods its events is read at a bounded rate, and not lost", async () => {
  const { connection, server } = await connected({
    events: async function* (_, { signal }) {
      const event = create(guest.GuestEventSchema, {
        topic: "/tasks/oom",
        event: packAny(events.TaskOOMSchema, { containerId: "c1" }),
      });
      while (!signal.aborted) yield event;
    },
    adjustClock: () => ({ unixNanoseconds: 1n }),
  });
  const ending = new AbortController();
  let seen = 0;
  const reading = (async () => {
    for await (const _ of connection.events(ending.signal)) seen++;
  })().catch(() => {});
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  while (seen < 2_000) await delay(10);
  await delay(1_000);
  assert.ok(seen <= 4_000 + 500 * seconds() + 100, `${seen} events in ${seconds()} s`);
  await connection.ping(never);
  ending.abort();
  await reading;
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("an impossible time of an exit is replaced by the time of its arrival", async () => {
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

Deno.test("a malformed event ends the events with a hostile error", async () => {
  const broken = create(guest.GuestEventSchema, {
    topic: "/tasks/exit",
    event: { typeUrl: "containerd.events.TaskExit", value: Uint8Array.of(0xff) },
  });
  const malformed = {
    name: "GuestError",
    kind: "hostile",
    message: /^guest sent a malformed event: /,
  };
  await assert.rejects(exitsOf(broken), malformed);
  const foreign = create(guest.GuestEventSchema, {
    topic: "/tasks/exit",
    event: { typeUrl: "containerd.events.TaskStart", value: new Uint8Array() },
  });
  await assert.rejects(exitsOf(foreign), malformed);
});

Deno.test("configure sets clock and host name", async () => {
  const asked: unknown[] = [];
  const { connection, server } = await connected({
    configure: ({ unixNanoseconds, hostname }) => {
      asked.push([unixNanoseconds, hostname]);
      return { vminitdVersion: BUILD };
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
    { kind: "refused", code: Code.NotFound, message: /^guest refused stream c1\/init\/stderr: / },
  );
  await assert.rejects(dialled[2]!.write(Uint8Array.of(0)));
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("a call without an answer in time fails by its name, a refused one keeps code and message", async () => {
  const { connection, server } = await connected({ shutdown: () => new Promise(() => {}) });
  await assert.rejects(
    answered("Shutdown", 20, (timeoutMs) => connection.shutdown(timeoutMs)),
    { kind: "unanswered", message: "guest did not answer Shutdown within 0.02 s" },
  );
  const status = new RpcError(Code.NotFound, "no such thing");
  await assert.rejects(answered("Shutdown", 20, () => Promise.reject(status)), {
    name: "GuestError",
    kind: "refused",
    code: Code.NotFound,
    message: "no such thing",
    cause: status,
  });
  const local = new Error("of this host");
  await assert.rejects(answered("Shutdown", 20, () => Promise.reject(local)), local);
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("a stream that the guest does not answer for is closed at its deadline", async () => {
  const { connection, server, dialled } = await connected({}, null);
  await assert.rejects(
    connection.stream("c1/init/stdout", never, 20),
    {
      kind: "unanswered",
      message: /^guest did not answer the opening of stream c1\/init\/stdout within /,
    },
  );
  await assert.rejects(dialled[1]!.write(Uint8Array.of(0)));
  connection[Symbol.dispose]();
  server.close();
});

Deno.test("closed resolves with the end of the connection, which fails pending calls", async () => {
  const { connection, server } = await connected({ shutdown: () => new Promise(() => {}) });
  const shutdown = connection.shutdown(60_000);
  await settle();
  server.close();
  await connection.closed;
  await assert.rejects(shutdown, { kind: "refused", code: Code.Unavailable });
});

Deno.test("configure refuses a guest of another build, if this is a compiled shim", async () => {
  // BUILD is set when base/ is loaded, so this needs its own process.
  const program = `
    globalThis.__qemuboxBuild = "0.1.0 (commit bbbbbbbbbbbb)";
    const { GuestConnection } = await import("./guest_connection.ts");
    const { guest, implement, TtrpcServer } = await import("../../proto/mod.ts");
    const { memoryPair } = await import("../../proto/testing/memory_pair.ts");
    const { signal } = new AbortController();
    for (const vminitdVersion of ["0.1.0 (commit aaaaaaaaaaaa)", "0.1.0 (commit bbbbbbbbbbbb)"]) {
      const server = new TtrpcServer([
        implement(guest.System, { configure: () => ({ vminitdVersion }) }),
      ]);
      const [ours, theirs] = memoryPair();
      void server.serve(theirs);
      using connection = await GuestConnection.open(() => Promise.resolve(ours), signal);
      const outcome = await connection.configure({}, signal).then(() => "ok", String);
      console.log(outcome);
      server.close();
    }
  `;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", program],
    cwd: import.meta.dirname!,
  }).output();
  assert.equal(
    new TextDecoder().decode(stdout),
    "RefusedError: root image has vminitd 0.1.0 (commit aaaaaaaaaaaa), the shim is " +
      "0.1.0 (commit bbbbbbbbbbbb): install root image and shim of one build " +
      "(deno task build makes both)\nok\n",
    new TextDecoder().decode(stderr),
  );
});
