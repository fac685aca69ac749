import assert from "node:assert/strict";
import {
  Code,
  createClient,
  RpcError,
  taskV2,
  taskV3,
  TtrpcConnection,
  TtrpcServer,
} from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { RefusedError } from "../base/refused_error.ts";
import { taskBindings } from "./task_bindings.ts";
import type { TaskControls } from "./task_controls.ts";
import { TaskError } from "./task_error.ts";
import type { TaskService } from "./task_service.ts";
import { MemoryLog } from "../testing/test_support.ts";

/** Clients of both versions of a service. */
function serving(service: Partial<TaskService>) {
  const log = new MemoryLog();
  const server = new TtrpcServer(taskBindings(service as TaskService, log));
  const [ours, theirs] = memoryPair();
  void server.serve(theirs);
  const connection = new TtrpcConnection(ours);
  return {
    log,
    v2: createClient(taskV2.Task, connection),
    v3: createClient(taskV3.Task, connection),
    [Symbol.dispose]: () => {
      connection.close();
      server.close();
    },
  };
}

Deno.test("both versions of the task service call the same methods", async () => {
  const seen: unknown[] = [];
  using served = serving({
    start: ({ id }) => {
      seen.push(id);
      return Promise.resolve({ pid: 7 });
    },
    controls: {
      closeIO: ({ id, stdin }) => void seen.push([id, stdin]),
    } as Partial<TaskControls> as TaskControls,
  });
  assert.equal((await served.v2.start({ id: "two" })).pid, 7);
  assert.equal((await served.v3.start({ id: "three" })).pid, 7);
  await served.v2.closeIO({ id: "two", stdin: true });
  assert.deepEqual(seen, ["two", "three", ["two", true]]);
});

Deno.test("errors go through the table and are logged", async () => {
  using served = serving({
    create: () =>
      Promise.reject(new RefusedError("unsupported", "process.terminal", "is\nnot supported")),
    state: () => {
      throw new TaskError("not-found", "no container c1");
    },
  });
  const fails = (code: Code, message: string) => (error: unknown) => {
    assert.ok(error instanceof RpcError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  };
  await assert.rejects(
    served.v3.create({ id: "c1" }),
    fails(Code.Unimplemented, "process.terminal is not supported"),
  );
  await assert.rejects(served.v2.state({ id: "c1" }), fails(Code.NotFound, "no container c1"));
  assert.deepEqual(served.log.at("debug"), [
    "create: process.terminal is not supported",
    "state: no container c1",
  ]);
});

Deno.test("every method of the API is served, in both versions", async () => {
  const missing = new Proxy({}, {
    get: (_, name) => () => {
      throw new TaskError("precondition", String(name));
    },
  });
  const service = new Proxy({}, {
    get: (_, name) => name === "controls" ? missing : Reflect.get(missing, name),
  });
  using served = serving(service as TaskService);
  for (const client of [served.v2, served.v3]) {
    const calls = client as unknown as Record<string, (request: object) => Promise<unknown>>;
    for (const name of Object.keys(taskV3.Task.method)) {
      await assert.rejects(
        calls[name]!({ id: "c1" }),
        (error) => error instanceof RpcError && error.message === name,
        name,
      );
    }
  }
});
