import assert from "node:assert/strict";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, RpcError } from "../proto/mod.ts";
import type { CreateRequest } from "./create_plan.ts";
import type { ProcessIo } from "./process_io.ts";
import type { Sandbox, SandboxListener } from "./sandbox.ts";
import { TaskEvents } from "./task_events.ts";
import { TaskService } from "./task_service.ts";
import { MemoryLog, settle } from "./test_support.ts";

const SIGTERM = 15, SIGKILL = 9;
const QEMU = 4711, SHIM = 42;
const request: CreateRequest = {
  id: "c1",
  bundle: "/bundle",
  rootfs: [{ type: "bind", source: "/image", options: ["ro"] }],
  stdin: "",
  stdout: "/fifo",
  stderr: "",
  terminal: false,
  checkpoint: "",
};
const c1 = { id: "c1", execId: "" };

/** Everything around the service, and a trace of what it did to it, in order. */
class World {
  readonly trace: string[] = [];
  readonly log = new MemoryLog();
  listener: SandboxListener | null = null;
  /** What the guest does with a call; it succeeds at once unless a test says otherwise. */
  onCall: (name: string) => Promise<void> = () => Promise.resolve();
  onCreate: () => Promise<void> = () => Promise.resolve();
  onDrain: () => Promise<void> = () => Promise.resolve();
  onEnd: () => Promise<void> = () => Promise.resolve();
  readonly service: TaskService;
  #abandoned = Promise.withResolvers<void>();

  constructor() {
    const publisher = {
      publish: (topic: string, _schema: unknown, message: Record<string, unknown>) => {
        const status = "exitStatus" in message ? ` ${message["exitStatus"]}` : "";
        this.trace.push(`${topic}${status} pid ${message["pid"]}`);
      },
    };
    this.service = new TaskService({
      events: new TaskEvents(publisher as never),
      log: this.log,
      createSandbox: async () => {
        await this.onCreate();
        return { sandbox: this.#sandbox() as unknown as Sandbox, io: this.#io() as ProcessIo };
      },
      onStarted: () => {},
      onStopped: () => {},
      exit: () => this.trace.push("shim exits"),
      drainTimeoutMs: 1000,
      shutdownTimeoutMs: 1000,
      shimPid: SHIM,
    });
  }

  #sandbox() {
    const call = (name: string, answer: object = {}) => async () => {
      this.trace.push(`guest ${name}`);
      await this.onCall(name);
      return answer;
    };
    return {
      pid: QEMU,
      guest: {
        task: {
          start: call("start"),
          kill: call("kill"),
          pids: call("pids", { processes: [{ pid: 7 }, { pid: 8 }] }),
        },
      },
      watch: (listener: SandboxListener) => this.listener = listener,
      end: async () => {
        this.trace.push("sandbox ends");
        await this.onEnd();
      },
      [Symbol.asyncDispose]: () => {
        this.trace.push("sandbox is dropped");
        return Promise.resolve();
      },
    };
  }

  #io() {
    return {
      start: () => {},
      closeStdin: () => this.trace.push("stdin closed"),
      drain: () => Promise.race([this.onDrain(), this.#abandoned.promise]),
      [Symbol.dispose]: () => this.#abandoned.resolve(),
    } as unknown;
  }

  /** The guest says that a process has ended. */
  exit(status: number, containerId = "c1", processId = containerId): void {
    this.listener!.onExit({ containerId, processId, exit: { status, at: new Date(1000) } });
  }

  /** What was done since the last time this was asked. */
  news(): string[] {
    return this.trace.splice(0);
  }
}

type StateName = "none" | "created" | "running" | "stopped" | "deleted";

/** A world whose container is in a state. */
async function worldIn(state: StateName): Promise<World> {
  const world = new World();
  if (state === "none") return world;
  await world.service.create(request);
  if (state === "created") return settled(world);
  await world.service.start(c1);
  if (state === "running") return settled(world);
  world.exit(3);
  await world.service.wait(c1);
  if (state === "stopped") return settled(world);
  await world.service.delete(c1);
  return settled(world);
}

async function settled(world: World): Promise<World> {
  await settle();
  world.news();
  return world;
}

async function outcome(call: () => unknown): Promise<string> {
  try {
    await call();
    return "OK";
  } catch (error) {
    assert.ok(error instanceof RpcError, String(error));
    return Code[error.code];
  }
}

function held(): { promise: Promise<void>; release: () => void; fail: (error: Error) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { promise, release: resolve, fail: reject };
}

Deno.test("every call in every state", async () => {
  const states: StateName[] = ["none", "created", "running", "stopped", "deleted"];
  const [no, early] = ["NotFound", "FailedPrecondition"];
  const calls: Record<string, [(service: TaskService) => unknown, string[]]> = {
    create: [(s) => s.create(request), [
      "OK",
      "AlreadyExists",
      "AlreadyExists",
      "AlreadyExists",
      "OK",
    ]],
    start: [(s) => s.start(c1), [no, "OK", early, early, no]],
    state: [(s) => s.state(c1), [no, "OK", "OK", "OK", no]],
    pids: [(s) => s.pids(c1), [no, "OK", "OK", "OK", no]],
    kill: [(s) => s.kill({ ...c1, signal: SIGTERM, all: false }), [no, "OK", "OK", no, no]],
    closeIO: [(s) => s.closeIO({ ...c1, stdin: true }), [no, "OK", "OK", "OK", no]],
    delete: [(s) => s.delete(c1), [no, "OK", early, "OK", no]],
    connect: [(s) => s.connect(c1), [no, "OK", "OK", "OK", no]],
    shutdown: [(s) => s.shutdown(), ["OK", "OK", "OK", "OK", "OK"]],
  };
  for (const [name, [call, expected]] of Object.entries(calls)) {
    for (const [index, state] of states.entries()) {
      const { service } = await worldIn(state);
      assert.equal(await outcome(() => call(service)), expected[index], `${name} when ${state}`);
    }
  }
});

Deno.test("execs and other containers are not found by any call", async () => {
  const { service } = await worldIn("running");
  for (const who of [{ id: "c1", execId: "e1" }, { id: "c2", execId: "" }]) {
    for (
      const call of [
        () => service.start(who),
        () => service.state(who),
        () => service.kill({ ...who, signal: SIGKILL, all: false }),
        () => service.wait(who),
        () => service.closeIO({ ...who, stdin: true }),
        () => service.delete(who),
      ]
    ) assert.equal(await outcome(call), "NotFound", JSON.stringify(who));
  }
});

Deno.test("a life has its events in order, with QEMU as the process", async () => {
  const world = new World();
  const { service } = world;
  assert.deepEqual(await service.create(request), { pid: QEMU });
  assert.deepEqual(await service.start(c1), { pid: QEMU });
  const waiting = service.wait(c1);
  world.exit(3);
  const exit = await waiting;
  assert.equal(exit.exitStatus, 3);
  assert.deepEqual(timestampDate(exit.exitedAt), new Date(1000));
  assert.deepEqual(await service.delete(c1), { pid: QEMU, ...exit });
  await service.shutdown();
  assert.deepEqual(world.trace, [
    `/tasks/create pid ${QEMU}`,
    "guest start",
    `/tasks/start pid ${QEMU}`,
    `/tasks/exit 3 pid ${QEMU}`,
    "sandbox ends",
    `/tasks/delete 3 pid ${QEMU}`,
    "shim exits",
  ]);
});

Deno.test("state tells what create said, the status, and how it ended", async () => {
  const fields = async (name: StateName) => {
    const { status, pid, bundle, stdout, exitStatus } = (await worldIn(name)).service.state(c1);
    return { status, pid, bundle, stdout, exitStatus };
  };
  const same = { pid: QEMU, bundle: "/bundle", stdout: "/fifo" };
  assert.deepEqual(await fields("created"), { status: 1, ...same, exitStatus: undefined });
  assert.deepEqual(await fields("running"), { status: 2, ...same, exitStatus: undefined });
  assert.deepEqual(await fields("stopped"), { status: 3, ...same, exitStatus: 3 });
});

Deno.test("pids are the guest's, and none after the end", async () => {
  assert.deepEqual(await (await worldIn("running")).service.pids(c1), {
    processes: [{ pid: 7 }, { pid: 8 }],
  });
  assert.deepEqual(await (await worldIn("stopped")).service.pids(c1), { processes: [] });
});

Deno.test("connect names the shim and QEMU", async () => {
  const { service } = await worldIn("running");
  assert.deepEqual(service.connect(c1), { shimPid: SHIM, taskPid: QEMU, version: "v2" });
});

Deno.test("a process that ends before its start is answered: start is told first", async () => {
  const world = await worldIn("created");
  const start = held();
  world.onCall = () => start.promise;
  const starting = world.service.start(c1);
  world.exit(0);
  const waiting = world.service.wait(c1);
  await settle();
  assert.deepEqual(world.news(), ["guest start"]);
  start.release();
  await Promise.all([starting, waiting]);
  assert.deepEqual(world.news(), [`/tasks/start pid ${QEMU}`, `/tasks/exit 0 pid ${QEMU}`]);
});

Deno.test("a start that fails leaves the container created, and is not told", async () => {
  const world = await worldIn("created");
  world.onCall = () => Promise.reject(new RpcError(Code.Internal, "exec format error"));
  await assert.rejects(world.service.start(c1), /exec format error/);
  assert.deepEqual(world.news(), ["guest start"]);
  assert.equal(world.service.state(c1).status, 1);
  await world.service.delete(c1);
});

Deno.test("the exit is told when the output is delivered, and waiters come after the event", async () => {
  const world = await worldIn("running");
  const drain = held();
  world.onDrain = () => drain.promise;
  const waiting = world.service.wait(c1).then(() => world.trace.push("wait answered"));
  world.exit(1);
  await settle();
  assert.deepEqual(world.news(), []);
  assert.equal(world.service.state(c1).status, 2);
  assert.equal(await outcome(() => world.service.delete(c1)), "FailedPrecondition");
  drain.release();
  await waiting;
  assert.deepEqual(world.news(), [`/tasks/exit 1 pid ${QEMU}`, "wait answered"]);
});

Deno.test("an exit is told once, and the first one counts", async () => {
  const world = await worldIn("running");
  world.exit(1);
  world.exit(2);
  world.listener!.onLost("the VM is gone");
  await settle();
  assert.deepEqual(world.news().filter((line) => line.startsWith("/tasks")), [
    `/tasks/exit 1 pid ${QEMU}`,
  ]);
  assert.equal((await world.service.wait(c1)).exitStatus, 1);
});

Deno.test("a hostile guest reports exits of what is not there", async () => {
  const world = await worldIn("running");
  world.exit(0, "c2");
  world.exit(0, "");
  world.exit(0, "__proto__");
  world.exit(0, "c1", "exec");
  await settle();
  assert.deepEqual(world.news(), []);
  assert.equal(world.service.state(c1).status, 2);
  assert.deepEqual(world.log.at("error"), []);
});

Deno.test("a lost VM ends its container with 137, once", async () => {
  for (const state of ["created", "running"] as const) {
    const world = await worldIn(state);
    const waiting = world.service.wait(c1);
    world.listener!.onLost("qemu was killed");
    assert.equal((await waiting).exitStatus, 137);
    assert.deepEqual(world.news(), ["sandbox is dropped", `/tasks/exit 137 pid ${QEMU}`]);
    assert.match(world.log.at("error").join(), /the VM is lost: qemu was killed/);
    assert.equal((await world.service.delete(c1)).exitStatus, 137);
    assert.deepEqual(world.news(), ["sandbox ends", `/tasks/delete 137 pid ${QEMU}`]);
  }
});

Deno.test("a guest that does not answer SIGKILL is killed as a whole", async () => {
  for (const code of [Code.DeadlineExceeded, Code.Unavailable]) {
    const world = await worldIn("running");
    world.onCall = () => Promise.reject(new RpcError(code, "no answer"));
    await world.service.kill({ ...c1, signal: SIGKILL, all: true });
    assert.equal((await world.service.wait(c1)).exitStatus, 137);
  }
});

Deno.test("other signals and other errors are the caller's", async () => {
  const world = await worldIn("running");
  world.onCall = () => Promise.reject(new RpcError(Code.Unavailable, "no answer"));
  assert.equal(
    await outcome(() => world.service.kill({ ...c1, signal: SIGTERM, all: false })),
    "Unavailable",
  );
  world.onCall = () => Promise.reject(new RpcError(Code.NotFound, "already finished"));
  assert.equal(
    await outcome(() => world.service.kill({ ...c1, signal: SIGKILL, all: false })),
    "NotFound",
  );
  assert.equal(world.service.state(c1).status, 2);
});

Deno.test("shutdown is a no-op as long as there is a container, or one is being made", async () => {
  for (const state of ["created", "running", "stopped"] as const) {
    const world = await worldIn(state);
    await world.service.shutdown();
    assert.deepEqual(world.news(), [], state);
  }
  const world = new World();
  const create = held();
  world.onCreate = () => create.promise;
  const creating = world.service.create(request);
  await world.service.shutdown();
  assert.deepEqual(world.news(), []);
  create.release();
  await creating;
});

Deno.test("a create that fails can be tried again, and shut down", async () => {
  const world = new World();
  world.onCreate = () => Promise.reject(new RpcError(Code.Internal, "no kernel"));
  await assert.rejects(world.service.create(request), /no kernel/);
  assert.deepEqual(world.news(), []);
  world.onCreate = () => Promise.resolve();
  await world.service.create(request);
  assert.deepEqual(world.news(), [`/tasks/create pid ${QEMU}`]);
});

Deno.test("a second create is refused while the first is under way", async () => {
  const world = new World();
  const create = held();
  world.onCreate = () => create.promise;
  const first = world.service.create(request);
  assert.equal(await outcome(() => world.service.create(request)), "AlreadyExists");
  create.release();
  await first;
});

Deno.test("closing anything but stdin is nothing", async () => {
  const world = await worldIn("running");
  world.service.closeIO({ ...c1, stdin: false });
  assert.deepEqual(world.news(), []);
  world.service.closeIO({ ...c1, stdin: true });
  assert.deepEqual(world.news(), ["stdin closed"]);
});

Deno.test("a container that never ran is deleted, and who waits for it is told", async () => {
  const world = await worldIn("created");
  const waiting = world.service.wait(c1);
  await world.service.delete(c1);
  assert.equal((await waiting).exitStatus, 0);
  assert.deepEqual(world.news(), ["sandbox ends", `/tasks/delete 0 pid ${QEMU}`]);
});

Deno.test("an exit that is under way at the delete is told before it", async () => {
  const world = await worldIn("created");
  world.onDrain = () => held().promise;
  world.exit(137);
  await settle();
  const deleting = [world.service.delete(c1), outcome(() => world.service.delete(c1))] as const;
  assert.equal((await deleting[0]).exitStatus, 137);
  assert.equal(await deleting[1], "NotFound");
  assert.deepEqual(world.news(), [
    `/tasks/exit 137 pid ${QEMU}`,
    "sandbox ends",
    `/tasks/delete 137 pid ${QEMU}`,
  ]);
});

Deno.test("a sandbox that does not end cleanly is logged, and deleted all the same", async () => {
  const world = await worldIn("stopped");
  world.onEnd = () => Promise.reject(new Error("still mounted"));
  assert.equal((await world.service.delete(c1)).exitStatus, 3);
  assert.match(world.log.at("error").join(), /did not end cleanly: still mounted/);
  assert.equal(world.service.isClean, false);
});

Deno.test("clean is a service whose sandbox, also one that was never whole, left nothing", async () => {
  assert.equal((await worldIn("deleted")).service.isClean, true);
  const world = await worldIn("none");
  world.onCreate = () => Promise.reject(new Error("no kernel"));
  await assert.rejects(world.service.create(request));
  assert.equal(world.service.isClean, true);
  const inner = new SuppressedError(new Error("no such process"), new Error("no kernel"));
  world.onCreate = () => Promise.reject(new SuppressedError(new Error("still mounted"), inner));
  await assert.rejects(world.service.create(request), { message: "no kernel" });
  assert.equal(world.service.isClean, false);
  const [first, second] = world.log.at("error");
  assert.match(first!, /still mounted/);
  assert.match(second!, /no such process/);
});

Deno.test("a shim that is told to end waits for a create to be undone, and begins no other", async () => {
  const world = new World();
  const create = held();
  world.onCreate = async () => {
    await create.promise;
    world.trace.push("create is undone");
    throw new Error("cancelled");
  };
  const creating = assert.rejects(world.service.create(request), /cancelled/);
  const ended = world.service.end().then(() => world.trace.push("ended"));
  await settle();
  assert.deepEqual(world.news(), []);
  create.release();
  await Promise.all([creating, ended]);
  assert.deepEqual(world.news(), ["create is undone", "ended"]);
  assert.equal(await outcome(() => world.service.create(request)), "Unavailable");
});

Deno.test("a shim that is told to end says that its container was killed", async () => {
  const world = await worldIn("running");
  const waiting = world.service.wait(c1);
  await world.service.end();
  assert.equal((await waiting).exitStatus, 137);
  assert.deepEqual(world.news(), ["sandbox ends", `/tasks/exit 137 pid ${QEMU}`]);
  await (await worldIn("none")).service.end();
  const stopped = await worldIn("stopped");
  await stopped.service.end();
  assert.deepEqual(stopped.news(), ["sandbox ends"]);
});
