import assert from "node:assert/strict";
import { packAny, unpackAny } from "../any.ts";
import * as guest from "../gen/qemubox/guest/v1/guest_schema.ts";
import * as runc from "../gen/containerd/types/runc/options/oci_schema.ts";
import { Code, RpcError } from "../rpc_error.ts";
import { isRpcError } from "../testing/is_rpc_error.ts";
import { memoryPair } from "../testing/memory_pair.ts";
import { connectPeers, type TaskImpl, tasks } from "../testing/rpc_peers.ts";
import { pattern } from "../testing/test_streams.ts";
import { createClient } from "./client.ts";
import { TtrpcConnection } from "./connection.ts";
import { MESSAGE_BYTES_MAX } from "./message.ts";
import { TtrpcServer } from "./server.ts";
import { type CallContext, implement } from "./service.ts";

Deno.test("a request reaches its method and the answer its caller", async () => {
  const impl: TaskImpl = {
    create: (request) => ({ pid: request.id.length + request.rootfs.length }),
    pids: async () => ({ processes: await Promise.resolve([{ pid: 7 }]) }),
  };
  await using peers = connectPeers(tasks(impl));
  const mount = { type: "erofs", source: "/layer", options: ["ro"] };
  assert.equal((await peers.tasks.create({ id: "abc", rootfs: [mount] })).pid, 4);
  assert.deepEqual((await peers.tasks.pids({ id: "abc" })).processes.map((p) => p.pid), [7]);
});

Deno.test("requests and answers may be empty", async () => {
  let called = 0;
  await using peers = connectPeers(
    tasks({ pause: () => (called++, {}) }),
    implement(guest.System, { shutdown: () => (called++, {}) }),
  );
  assert.equal((await peers.tasks.pause({})).$typeName, "google.protobuf.Empty");
  await peers.system.shutdown({});
  assert.equal(called, 2);
});

Deno.test("methods may be those of a class", async () => {
  class Bundles {
    #prefix = "/run/";
    create(request: guest.CreateBundleRequest) {
      return { path: this.#prefix + request.id };
    }
  }
  await using peers = connectPeers(implement(guest.Bundles, new Bundles()));
  assert.equal((await peers.bundles.create({ id: "b" })).path, "/run/b");
});

Deno.test("an error arrives with code, message and details", async () => {
  const details = [packAny(runc.ProcessDetailsSchema, { execId: "e1" })];
  const thrown = new RpcError(Code.FailedPrecondition, "task is stopped", { details });
  await using peers = connectPeers(tasks({
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
  // An RpcError is a normal answer. Other errors are reported with their method.
  assert.deepEqual(peers.errors.map(([, where]) => where), [
    "containerd.task.v3.Task/Wait",
    "containerd.task.v3.Task/Stats",
  ]);
});

Deno.test("an unimplemented service or method is named", async () => {
  await using peers = connectPeers(tasks({}));
  await assert.rejects(
    peers.tasks.closeIO({}),
    isRpcError(Code.Unimplemented, /^method containerd\.task\.v3\.Task\/CloseIO is not/),
  );
  await assert.rejects(
    peers.system.configure({}),
    isRpcError(Code.Unimplemented, /^service qemubox\.guest\.v1\.System is not/),
  );
});

Deno.test("an answer that does not fit its type is reported and Unknown to the caller", async () => {
  await using peers = connectPeers(tasks({ create: () => ({ pid: -1 }) }));
  await assert.rejects(peers.tasks.create({}), isRpcError(Code.Unknown, /pid/));
  assert.equal(peers.errors.length, 1);
});

Deno.test("a method gets metadata and deadline", async () => {
  let seen: CallContext | undefined;
  await using peers = connectPeers(tasks({ start: (_, context) => (seen = context, { pid: 1 }) }));
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

Deno.test("a hundred concurrent calls are answered in any order", async () => {
  const waiting: (() => void)[] = [];
  await using peers = connectPeers(tasks({
    create: async (request) => {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        // In reverse, once all have arrived.
        if (waiting.length === 100) { for (const go of waiting.reverse()) go(); }
      });
      return { pid: Number(request.id) };
    },
  }));
  const ids = Array.from({ length: 100 }, (_, index) => index + 1);
  const answers = await Promise.all(ids.map((id) => peers.tasks.create({ id: String(id) })));
  assert.deepEqual(answers.map((answer) => answer.pid), ids);
});

Deno.test("a payload up to the limit passes in both directions, a longer one fails its call", async () => {
  // 128 bytes are enough for the fields around the content.
  const content = pattern(MESSAGE_BYTES_MAX - 128);
  await using peers = connectPeers(implement(guest.Bundles, {
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
  await using peers = connectPeers(tasks({
    start: () => Promise.reject(new RpcError(Code.Internal, "x".repeat(MESSAGE_BYTES_MAX))),
  }));
  await assert.rejects(peers.tasks.start({}), isRpcError(Code.ResourceExhausted, /over the limit/));
});

Deno.test("answered resolves after the answer is written", async () => {
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

Deno.test("a service cannot be bound twice", () => {
  assert.throws(() => new TtrpcServer([tasks({}), tasks({})]), /twice/);
});
