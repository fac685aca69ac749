import assert from "node:assert/strict";
import { packAny, unpackAny } from "../any.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import * as runc from "../gen/containerd/types/runc/options/oci_schema.ts";
import * as task from "../gen/containerd/runtime/task/v3/shim_schema.ts";
import { Code, RpcError } from "../rpc_error.ts";
import { pattern } from "../testing/test_streams.ts";
import { createClient } from "./client.ts";
import { TtrpcConnection } from "./connection.ts";
import { MESSAGE_BYTES_MAX } from "./message.ts";
import { TtrpcServer } from "./server.ts";
import { type CallContext, implement, type ServiceBinding, type ServiceImpl } from "./service.ts";

type TaskImpl = Partial<ServiceImpl<typeof task.Task>>;

/** Client and server on one connection, both gone at the end of the scope. */
function connect(...bindings: ServiceBinding[]) {
  const [near, far] = memoryPair();
  const errors: [unknown, string][] = [];
  const server = new TtrpcServer(bindings, { onError: (...args) => errors.push(args) });
  const served = server.serve(far);
  const connection = new TtrpcConnection(near);
  return {
    errors,
    server,
    served,
    connection,
    tasks: createClient(task.Task, connection),
    system: createClient(guest.System, connection),
    bundles: createClient(guest.Bundles, connection),
    async [Symbol.asyncDispose]() {
      connection.close();
      await served;
    },
  };
}

function tasks(impl: TaskImpl): ServiceBinding {
  return implement(task.Task, impl);
}

/** A check for assert.rejects. */
function isRpcError(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RpcError, String(error));
    assert.equal(Code[error.code], Code[code], error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** Waits until the call is aborted, and says why. */
function aborted(context: CallContext): Promise<RpcError> {
  const { signal } = context;
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });
}

Deno.test("a request reaches its method, and the answer its caller", async () => {
  const impl: TaskImpl = {
    create: (request) => ({ pid: request.id.length + request.rootfs.length }),
    pids: async () => ({ processes: await Promise.resolve([{ pid: 7 }]) }),
  };
  await using peers = connect(tasks(impl));
  const mount = { type: "erofs", source: "/layer", options: ["ro"] };
  assert.equal((await peers.tasks.create({ id: "abc", rootfs: [mount] })).pid, 4);
  assert.deepEqual((await peers.tasks.pids({ id: "abc" })).processes.map((p) => p.pid), [7]);
});

Deno.test("empty requests and answers are messages, too", async () => {
  let called = 0;
  await using peers = connect(
    tasks({ pause: () => (called++, {}) }),
    implement(guest.System, { shutdown: () => (called++, {}) }),
  );
  assert.equal((await peers.tasks.pause({})).$typeName, "google.protobuf.Empty");
  await peers.system.shutdown({});
  assert.equal(called, 2);
});

Deno.test("methods may live in a class", async () => {
  class Bundles {
    #prefix = "/run/";
    create(request: guest.CreateBundleRequest) {
      return { path: this.#prefix + request.id };
    }
  }
  await using peers = connect(implement(guest.Bundles, new Bundles()));
  assert.equal((await peers.bundles.create({ id: "b" })).path, "/run/b");
});

Deno.test("an error arrives with code, text and details", async () => {
  const details = [packAny(runc.ProcessDetailsSchema, { execId: "e1" })];
  const thrown = new RpcError(Code.FailedPrecondition, "task is stopped", { details });
  await using peers = connect(tasks({
    kill: () => {
      throw thrown;
    },
    wait: () => Promise.reject(Object.assign(new Error("no such file"), { code: "ENOENT" })),
    stats: () => Promise.reject("just a text"),
  }));
  await assert.rejects(peers.tasks.kill({}), (error) => {
    isRpcError(Code.FailedPrecondition, /^task is stopped$/)(error);
    const [detail] = (error as RpcError).details!;
    assert.equal(unpackAny(runc.ProcessDetailsSchema, detail!).execId, "e1");
    return true;
  });
  await assert.rejects(peers.tasks.wait({}), isRpcError(Code.NotFound, /no such file/));
  await assert.rejects(peers.tasks.stats({}), isRpcError(Code.Unknown, /just a text/));
  // An RpcError is an answer like any other; the rest is reported where it happened.
  assert.deepEqual(peers.errors.map(([, where]) => where), [
    "containerd.task.v3.Task/Wait",
    "containerd.task.v3.Task/Stats",
  ]);
});

Deno.test("what is not implemented is named", async () => {
  await using peers = connect(tasks({}));
  await assert.rejects(
    peers.tasks.closeIO({}),
    isRpcError(Code.Unimplemented, /^method containerd\.task\.v3\.Task\/CloseIO is not/),
  );
  await assert.rejects(
    peers.system.configure({}),
    isRpcError(Code.Unimplemented, /^service qemubox\.guest\.v1\.System is not/),
  );
});

Deno.test("an answer that does not fit its type is the server's fault, and reported", async () => {
  await using peers = connect(tasks({ create: () => ({ pid: -1 }) }));
  await assert.rejects(peers.tasks.create({}), isRpcError(Code.Unknown, /pid/));
  assert.equal(peers.errors.length, 1);
});

Deno.test("metadata and the deadline arrive", async () => {
  let seen: CallContext | undefined;
  await using peers = connect(tasks({ start: (_, context) => (seen = context, { pid: 1 }) }));
  const before = Date.now();
  await peers.tasks.start({}, {
    metadata: new Map([["Containerd-Namespace-Ttrpc", ["default"]], ["many", ["1", "2"]]]),
    timeoutMs: 60_000,
  });
  assert.deepEqual(
    [...seen!.metadata],
    [["containerd-namespace-ttrpc", ["default"]], ["many", ["1", "2"]]],
  );
  assert.ok(seen!.deadline! >= before + 60_000 && seen!.deadline! <= Date.now() + 60_000);
  await peers.tasks.start({});
  assert.equal("deadline" in seen!, false);
});

Deno.test("the deadline passes at the client, whatever the server does", async () => {
  await using peers = connect(tasks({ wait: () => new Promise(() => {}) }));
  const late = isRpcError(Code.DeadlineExceeded, /deadline/);
  await assert.rejects(peers.tasks.wait({}, { timeoutMs: 1 }), late);
  await assert.rejects(peers.tasks.wait({}, { timeoutMs: 0 }), late);
});

Deno.test("the method hears of its deadline", async () => {
  const reason = Promise.withResolvers<RpcError>();
  await using peers = connect(tasks({
    wait: (_, context) => {
      aborted(context).then(reason.resolve);
      return new Promise(() => {});
    },
  }));
  await assert.rejects(peers.tasks.wait({}, { timeoutMs: 1 }));
  isRpcError(Code.DeadlineExceeded, /deadline/)(await reason.promise);
});

Deno.test("a caller may give up; the connection goes on", async () => {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<{ exitStatus: number }>();
  await using peers = connect(tasks({
    wait: () => (started.resolve(), finish.promise),
    start: () => ({ pid: 5 }),
  }));
  const abort = new AbortController();
  const call = peers.tasks.wait({}, { signal: abort.signal });
  await started.promise;
  abort.abort();
  await assert.rejects(call, isRpcError(Code.Canceled, /abort/));
  await assert.rejects(
    peers.tasks.wait({}, { signal: abort.signal }),
    isRpcError(Code.Canceled, /./),
  );
  // The late answer is for nobody.
  finish.resolve({ exitStatus: 0 });
  assert.equal((await peers.tasks.start({})).pid, 5);
});

Deno.test("a client that goes away aborts its calls", async () => {
  const [started, reason] = [Promise.withResolvers<void>(), Promise.withResolvers<RpcError>()];
  const peers = connect(tasks({
    wait: (_, context) => {
      aborted(context).then(reason.resolve);
      started.resolve();
      return new Promise(() => {});
    },
  }));
  const call = peers.tasks.wait({});
  await started.promise;
  peers.connection.close("enough");
  await assert.rejects(call, isRpcError(Code.Unavailable, /enough/));
  isRpcError(Code.Canceled, /connection closed/)(await reason.promise);
  await peers.served;
  await peers.connection.closed;
  await assert.rejects(peers.tasks.start({}), isRpcError(Code.Unavailable, /enough/));
});

Deno.test("a server that goes away fails all calls", async () => {
  const started = Promise.withResolvers<void>();
  const peers = connect(
    tasks({ wait: () => (started.resolve(), new Promise(() => {})) }),
    implement(guest.System, {
      async *events(_, context) {
        yield { topic: "/first" };
        await aborted(context);
      },
    }),
  );
  const call = peers.tasks.wait({});
  const events = peers.system.events({})[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.topic, "/first");
  await started.promise;
  peers.server.close();
  await assert.rejects(call, isRpcError(Code.Unavailable, /closed by the peer/));
  await assert.rejects(events.next(), isRpcError(Code.Unavailable, /closed by the peer/));
  assert.deepEqual(await events.next(), { done: true, value: undefined });
  await peers.connection.closed;
  await peers.served;
  const [near, far] = memoryPair();
  await peers.server.serve(far);
  assert.equal(await near.read(new Uint8Array(1)), null);
});

Deno.test("a hundred calls at a time, answered in any order", async () => {
  const waiting: (() => void)[] = [];
  await using peers = connect(tasks({
    create: async (request) => {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        // Backwards, once all are there.
        if (waiting.length === 100) { for (const go of waiting.reverse()) go(); }
      });
      return { pid: Number(request.id) };
    },
  }));
  const ids = Array.from({ length: 100 }, (_, index) => index + 1);
  const answers = await Promise.all(ids.map((id) => peers.tasks.create({ id: String(id) })));
  assert.deepEqual(answers.map((answer) => answer.pid), ids);
});

Deno.test("a payload up to the limit passes in both directions, one beyond fails its call", async () => {
  // What request, response and bundle have around the bytes.
  const content = pattern(MESSAGE_BYTES_MAX - 128);
  await using peers = connect(implement(guest.Bundles, {
    create: (request) => {
      assert.deepEqual(request.configJson.subarray(-1000), content.subarray(-1000));
      return {
        path: "x".repeat(request.id === "big" ? MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX - 128),
      };
    },
  }));
  const answer = await peers.bundles.create({ id: "fits", configJson: content });
  assert.equal(answer.path.length, MESSAGE_BYTES_MAX - 128);
  const over = isRpcError(Code.ResourceExhausted, /over the limit/);
  await assert.rejects(peers.bundles.create({ configJson: pattern(MESSAGE_BYTES_MAX) }), over);
  await assert.rejects(peers.bundles.create({ id: "big", configJson: content }), over);
  assert.equal((await peers.bundles.create({ id: "fits", configJson: content })).path[0], "x");
});

Deno.test("an error text over the limit still ends the call", async () => {
  await using peers = connect(tasks({
    start: () => Promise.reject(new RpcError(Code.Internal, "x".repeat(MESSAGE_BYTES_MAX))),
  }));
  await assert.rejects(peers.tasks.start({}), isRpcError(Code.ResourceExhausted, /over the limit/));
});

Deno.test("a stream of answers arrives in order and ends", async () => {
  await using peers = connect(implement(guest.System, {
    async *events() {
      for (let index = 0; index < 500; index++) yield { topic: `/${index}` };
    },
  }));
  const topics = [];
  for await (const event of peers.system.events({})) topics.push(event.topic);
  assert.deepEqual(topics, Array.from({ length: 500 }, (_, index) => `/${index}`));
});

Deno.test("empty messages of a stream count", async () => {
  await using peers = connect(implement(guest.System, {
    async *events() {
      yield {};
      yield {};
    },
  }));
  let count = 0;
  for await (const event of peers.system.events({})) count += event.topic === "" ? 1 : 0;
  assert.equal(count, 2);
});

Deno.test("a stream fails after what it has already delivered", async () => {
  await using peers = connect(implement(guest.System, {
    async *events() {
      yield { topic: "/one" };
      throw new RpcError(Code.Aborted, "no more");
    },
  }));
  const events = peers.system.events({})[Symbol.asyncIterator]();
  assert.equal((await events.next()).value?.topic, "/one");
  await assert.rejects(events.next(), isRpcError(Code.Aborted, /no more/));
  assert.equal((await events.next()).done, true);
});

Deno.test("a stream's deadline and signal end it at both sides", async () => {
  const reason = Promise.withResolvers<RpcError>();
  const ended = Promise.withResolvers<void>();
  await using peers = connect(implement(guest.System, {
    async *events(_, context) {
      try {
        yield { topic: "/one" };
        reason.resolve(await aborted(context));
      } finally {
        ended.resolve();
      }
    },
  }));
  const timed = peers.system.events({}, { timeoutMs: 1 })[Symbol.asyncIterator]();
  await assert.rejects(async () => {
    while (!(await timed.next()).done);
  }, isRpcError(Code.DeadlineExceeded, /deadline/));
  isRpcError(Code.DeadlineExceeded, /deadline/)(await reason.promise);
  await ended.promise;
  const abort = new AbortController();
  const aborting = peers.system.events({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await aborting.next();
  abort.abort(new RpcError(Code.Aborted, "by hand"));
  await assert.rejects(aborting.next(), isRpcError(Code.Aborted, /by hand/));
});

Deno.test("a stream without a reader fails alone; the other calls go on", async () => {
  await using peers = connect(
    implement(guest.System, {
      async *events() {
        for (;;) yield { topic: "/flood" };
      },
    }),
    tasks({ start: () => ({ pid: 3 }) }),
  );
  const flood = peers.system.events({})[Symbol.asyncIterator]();
  // Each answer comes after at least one message of the flood.
  for (let index = 0; index < 2000; index++) await peers.tasks.start({});
  let received = 0;
  await assert.rejects(async () => {
    for (;;) {
      await flood.next();
      received++;
    }
  }, isRpcError(Code.ResourceExhausted, /too slow/));
  assert.equal(received, 1024);
});

Deno.test("leaving the loop abandons the stream", async () => {
  await using peers = connect(
    implement(guest.System, {
      async *events() {
        for (;;) yield { topic: "/again" };
      },
    }),
    tasks({ start: () => ({ pid: 3 }) }),
  );
  for await (const event of peers.system.events({})) {
    assert.equal(event.topic, "/again");
    break;
  }
  assert.equal((await peers.tasks.start({})).pid, 3);
});

Deno.test("what has to come after the answer comes after it", async () => {
  const order: string[] = [];
  const done = Promise.withResolvers<void>();
  const [near, far] = memoryPair();
  const recorded = {
    ...far,
    read: far.read.bind(far),
    close: far.close.bind(far),
    async write(data: Uint8Array) {
      await far.write(data);
      order.push("answer");
    },
  };
  const server = new TtrpcServer([implement(guest.System, {
    shutdown: (_, context) => {
      context.answered.then(() => order.push("reset")).then(() => done.resolve());
      return {};
    },
  })]);
  const served = server.serve(recorded);
  const connection = new TtrpcConnection(near);
  await createClient(guest.System, connection).shutdown({});
  await done.promise;
  assert.deepEqual(order, ["answer", "reset"]);
  connection.close();
  await served;
});

Deno.test("a service is bound once", () => {
  assert.throws(() => new TtrpcServer([tasks({}), tasks({})]), /twice/);
});
