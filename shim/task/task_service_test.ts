import assert from "node:assert/strict";
import {
  type Any,
  cgroups,
  Code,
  packAny,
  RpcError,
  runcOptions,
  timestampDate,
  unpackAny,
} from "../../proto/mod.ts";
import { Balloon } from "../../qemu/mod.ts";
import type { ExecRequest } from "../plan/exec_plan.ts";
import type { Pod } from "../sandbox/pod.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { Sandbox, SandboxListener } from "../sandbox/sandbox.ts";
import { TaskEvents } from "./task_events.ts";
import { TaskService } from "./task_service.ts";
import { MemoryLog, settle } from "../testing/test_support.ts";
import type { CreateRequest } from "../plan/create_request.ts";

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

/** What the setting shutdown_timeout_seconds becomes. */
const SHUTDOWN_TIMEOUT_MS = 1234;

/** Everything around the service, and a trace of what it did to it, in order. */
class World {
  readonly trace: string[] = [];
  readonly log = new MemoryLog();
  /** Whose streams were let go of. */
  readonly disposed: string[] = [];
  /** How long the guest was given to end. */
  graceMs: number | null = null;
  /** What the guest was asked, in order. */
  readonly requests: unknown[] = [];
  /** What the guest answers to Stats. */
  stats: unknown = packAny(cgroups.MetricsSchema, { pids: { current: 3n } });
  /** What the guest answers to Pids. */
  processes: unknown[] = [{ pid: 7 }, { pid: 8 }];
  listener: SandboxListener | null = null;
  /** What holds memory of the VM back; null: the VM does not grow. */
  balloon: Balloon | null = null;
  /** What the guest does with a call; it succeeds at once unless a test says otherwise. */
  onCall: (name: string) => Promise<void> = () => Promise.resolve();
  onCreate: () => Promise<void> = () => Promise.resolve();
  /** What the VM has for further containers; null: it is one container's. */
  pod: Pod | null = null;
  onJoin: (id: string) => Promise<void> = () => Promise.resolve();
  onLeave: () => Promise<void> = () => Promise.resolve();
  onDrain: (execId: string) => Promise<void> = () => Promise.resolve();
  onOpenIo: (execId: string, refused: AbortSignal) => Promise<void> = () => Promise.resolve();
  onEnd: () => Promise<void> = () => Promise.resolve();
  readonly service: TaskService;

  constructor() {
    const publisher = {
      publish: (topic: string, _schema: unknown, message: Record<string, unknown>) => {
        const status = "exitStatus" in message ? ` ${message["exitStatus"]}` : "";
        const exec = message["execId"] ?? (message["id"] === "c1" ? undefined : message["id"]);
        const pid = "pid" in message ? ` pid ${message["pid"]}` : "";
        this.trace.push(`${topic}${status}${pid}${exec === undefined ? "" : ` of ${exec}`}`);
      },
    };
    this.service = new TaskService({
      events: new TaskEvents(publisher as never),
      log: this.log,
      createSandbox: async () => {
        await this.onCreate();
        return {
          sandbox: this.#sandbox() as unknown as Sandbox,
          io: this.#io("") as ProcessIo,
          size: { memoryMib: 384, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 },
        };
      },
      joinPod: async ({ id }) => {
        await this.onJoin(id);
        this.trace.push(`${id} joins`);
        const leave = async () => {
          this.trace.push(`${id} leaves`);
          await this.onLeave();
        };
        return {
          io: this.#io("") as ProcessIo,
          leave: { [Symbol.asyncDispose]: leave },
        };
      },
      openIo: async ({ execId }, _guest, refused) => {
        await this.onOpenIo(execId, refused);
        return this.#io(execId) as ProcessIo;
      },
      onLeft: (bundle, others) => void this.trace.push(`${bundle} left ${others}`),
      onStarted: () => {},
      onStopped: () => {},
      exit: () => this.trace.push("shim exits"),
      drainTimeoutMs: 1000,
      shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS,
      shimPid: SHIM,
    });
  }

  #sandbox() {
    const call = (name: string, answer: object = {}) => async (request: { execId?: string }) => {
      this.trace.push(`guest ${name}${request.execId ? ` ${request.execId}` : ""}`);
      this.requests.push(request);
      await this.onCall(name);
      return answer;
    };
    return {
      pid: QEMU,
      pod: this.pod,
      balloon: this.balloon,
      guest: {
        task: {
          start: call("start"),
          kill: call("kill"),
          exec: call("exec"),
          delete: call("delete"),
          pause: call("pause"),
          resume: call("resume"),
          update: call("update"),
          resizePty: call("resizePty"),
          pids: (request: object) => call("pids", { processes: this.processes })(request),
          stats: (request: object) => call("stats", { stats: this.stats })(request),
          checkpoint: call("checkpoint"),
        },
        checkpoints: {
          list: call("list files", { files: [] }),
          delete: call("delete files"),
        },
      },
      watch: (listener: SandboxListener) => this.listener = listener,
      end: async (graceMs: number) => {
        this.graceMs = graceMs;
        this.trace.push("sandbox ends");
        await this.onEnd();
      },
      [Symbol.asyncDispose]: () => {
        this.trace.push("sandbox is dropped");
        return Promise.resolve();
      },
    };
  }

  #io(execId: string) {
    const abandoned = Promise.withResolvers<void>();
    return {
      start: () => {},
      closeStdin: () => this.trace.push(`stdin${execId && ` of ${execId}`} closed`),
      drain: () => Promise.race([this.onDrain(execId), abandoned.promise]),
      [Symbol.asyncDispose]: () => {
        this.disposed.push(execId);
        abandoned.resolve();
        return Promise.resolve();
      },
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

type StateName = "none" | "created" | "running" | "paused" | "stopped" | "deleted";

/** A world whose container is in a state. */
async function worldIn(state: StateName): Promise<World> {
  const world = new World();
  if (state === "none") return world;
  await world.service.create(request);
  if (state === "created") return settled(world);
  await world.service.start(c1);
  if (state === "running") return settled(world);
  if (state === "paused") {
    await world.service.controls.pause(c1);
    return settled(world);
  }
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

const json = (type: string, value: unknown) => ({
  typeUrl: `types.containerd.io/opencontainers/runtime-spec/1/${type}`,
  value: new TextEncoder().encode(JSON.stringify(value)),
});
const e1 = { id: "c1", execId: "e1" };
const execRequest = (execId: string): ExecRequest => ({
  ...{ id: "c1", execId, terminal: false, stdin: "", stdout: "/fifo-e", stderr: "" },
  spec: json("Process", { args: ["true"], cwd: "/" }) as ExecRequest["spec"],
});
const resources = json("LinuxResources", { memory: { limit: 1 << 20 } }) as Any;

Deno.test("every call in every state", async () => {
  const states: StateName[] = ["none", "created", "running", "paused", "stopped", "deleted"];
  const [no, early, ok, taken] = ["NotFound", "FailedPrecondition", "OK", "AlreadyExists"];
  const calls: Record<string, [(service: TaskService) => unknown, string[]]> = {
    create: [(s) => s.create(request), [ok, taken, taken, taken, taken, ok]],
    start: [(s) => s.start(c1), [no, ok, early, early, early, no]],
    state: [(s) => s.state(c1), [no, ok, ok, ok, ok, no]],
    exec: [(s) => s.exec(execRequest("e1")), [no, ok, ok, early, early, no]],
    delete: [(s) => s.delete(c1), [no, ok, early, early, ok, no]],
    connect: [(s) => s.connect(c1), [no, ok, ok, ok, ok, no]],
    shutdown: [(s) => s.shutdown(), [ok, ok, ok, ok, ok, ok]],
    pids: [(s) => s.controls.pids(c1), [no, ok, ok, ok, ok, no]],
    kill: [
      (s) => s.controls.kill({ ...c1, signal: SIGTERM, all: false }),
      [no, ok, ok, ok, no, no],
    ],
    pause: [(s) => s.controls.pause(c1), [no, early, ok, early, early, no]],
    resume: [(s) => s.controls.resume(c1), [no, early, early, ok, early, no]],
    stats: [(s) => s.controls.stats(c1), [no, ok, ok, ok, early, no]],
    update: [(s) => s.controls.update({ ...c1, resources }), [no, ok, ok, ok, early, no]],
    resizePty: [
      (s) => s.controls.resizePty({ ...c1, width: 80, height: 25 }),
      [no, ok, ok, ok, early, no],
    ],
    closeIO: [(s) => s.controls.closeIO({ ...c1, stdin: true }), [no, ok, ok, ok, ok, no]],
    checkpoint: [
      (s) => s.controls.checkpoint({ ...c1, path: "/tmp" }),
      [no, early, ok, ok, early, no],
    ],
  };
  for (const [name, [call, expected]] of Object.entries(calls)) {
    for (const [index, state] of states.entries()) {
      const { service } = await worldIn(state);
      assert.equal(await outcome(() => call(service)), expected[index], `${name} when ${state}`);
    }
  }
});

type ExecState = "none" | "added" | "running" | "stopped" | "deleted";

/** A world whose container runs and has an exec in a state. */
async function worldWithExec(state: ExecState): Promise<World> {
  const world = await worldIn("running");
  if (state === "none") return world;
  await world.service.exec(execRequest("e1"));
  if (state === "added") return settled(world);
  await world.service.start(e1);
  if (state === "running") return settled(world);
  world.exit(4, "c1", "e1");
  await world.service.wait(e1);
  if (state === "stopped") return settled(world);
  await world.service.delete(e1);
  return settled(world);
}

Deno.test("every call on an exec in every state", async () => {
  const states: ExecState[] = ["none", "added", "running", "stopped", "deleted"];
  const [no, early, ok, taken] = ["NotFound", "FailedPrecondition", "OK", "AlreadyExists"];
  const calls: Record<string, [(service: TaskService) => unknown, string[]]> = {
    exec: [(s) => s.exec(execRequest("e1")), [ok, taken, taken, taken, ok]],
    start: [(s) => s.start(e1), [no, ok, early, early, no]],
    state: [(s) => s.state(e1), [no, ok, ok, ok, no]],
    kill: [(s) => s.controls.kill({ ...e1, signal: SIGKILL, all: false }), [no, ok, ok, no, no]],
    resizePty: [(s) => s.controls.resizePty({ ...e1, width: 1, height: 1 }), [
      no,
      ok,
      ok,
      early,
      no,
    ]],
    closeIO: [(s) => s.controls.closeIO({ ...e1, stdin: true }), [no, ok, ok, ok, no]],
    delete: [(s) => s.delete(e1), [no, ok, early, ok, no]],
  };
  for (const [name, [call, expected]] of Object.entries(calls)) {
    for (const [index, state] of states.entries()) {
      const { service } = await worldWithExec(state);
      assert.equal(await outcome(() => call(service)), expected[index], `${name} when ${state}`);
    }
  }
});

Deno.test("other containers and execs are not found by any call", async () => {
  const { service } = await worldWithExec("running");
  const { controls } = service;
  for (const who of [{ id: "c1", execId: "e2" }, { id: "c2", execId: "" }]) {
    for (
      const call of [
        () => service.start(who),
        () => service.state(who),
        () => controls.kill({ ...who, signal: SIGKILL, all: false }),
        () => service.wait(who),
        () => controls.closeIO({ ...who, stdin: true }),
        () => controls.resizePty({ ...who, width: 1, height: 1 }),
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

Deno.test("pids are the guest's, and after the end the VM's", async () => {
  assert.deepEqual(await (await worldIn("running")).service.controls.pids(c1), {
    processes: [{ pid: 7 }, { pid: 8 }],
  });
  assert.deepEqual(await (await worldIn("stopped")).service.controls.pids(c1), {
    processes: [{ pid: QEMU }],
  });
  // A containerd that starts must not find nothing, be it while the output is still delivered.
  const ending = await worldIn("running");
  ending.onDrain = () => held().promise;
  ending.exit(0);
  await settle();
  assert.deepEqual(await ending.service.controls.pids(c1), { processes: [{ pid: QEMU }] });
  const ended = await worldIn("running");
  ended.processes = [];
  assert.deepEqual(await ended.service.controls.pids(c1), { processes: [{ pid: QEMU }] });
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
    await world.service.controls.kill({ ...c1, signal: SIGKILL, all: true });
    assert.equal((await world.service.wait(c1)).exitStatus, 137);
  }
});

Deno.test("other signals and other errors are the caller's", async () => {
  const world = await worldIn("running");
  world.onCall = () => Promise.reject(new RpcError(Code.Unavailable, "no answer"));
  assert.equal(
    await outcome(() => world.service.controls.kill({ ...c1, signal: SIGTERM, all: false })),
    "Unavailable",
  );
  world.onCall = () => Promise.reject(new RpcError(Code.NotFound, "already finished"));
  assert.equal(
    await outcome(() => world.service.controls.kill({ ...c1, signal: SIGKILL, all: false })),
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
  world.service.controls.closeIO({ ...c1, stdin: false });
  assert.deepEqual(world.news(), []);
  world.service.controls.closeIO({ ...c1, stdin: true });
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
  assert.match(first!, /no such process/);
  assert.match(second!, /still mounted/);
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
  assert.equal(world.graceMs, SHUTDOWN_TIMEOUT_MS);
  await (await worldIn("none")).service.end();
  const stopped = await worldIn("stopped");
  await stopped.service.end();
  assert.deepEqual(stopped.news(), ["sandbox ends"]);
});

Deno.test("an exec's life has its events in order, and its deletion has none", async () => {
  const world = await worldIn("running");
  const { service } = world;
  await service.exec(execRequest("e1"));
  assert.deepEqual(await service.start(e1), { pid: QEMU });
  const waiting = service.wait(e1);
  world.exit(4, "c1", "e1");
  const exit = await waiting;
  assert.equal(exit.exitStatus, 4);
  assert.deepEqual(await service.delete(e1), { pid: QEMU, ...exit });
  assert.deepEqual(world.news(), [
    "guest exec e1",
    "/tasks/exec-added of e1",
    "guest start e1",
    `/tasks/exec-started pid ${QEMU} of e1`,
    `/tasks/exit 4 pid ${QEMU} of e1`,
    "guest delete e1",
  ]);
  assert.equal(service.state(c1).status, 2);
});

Deno.test("the guest gets the process without labels, and streams' ids for paths", async () => {
  const world = await worldIn("running");
  const process = { args: ["sh"], cwd: "/", apparmorProfile: "p", user: { uid: 1 } };
  const spec = json("Process", process) as Any;
  await world.service.exec({ ...execRequest("e1"), stdin: "/in", stderr: "/err", spec });
  const [sent] = world.requests.slice(-1) as [{ spec: Any } & Record<string, unknown>];
  const { spec: sentSpec, ...rest } = sent;
  assert.deepEqual(rest, {
    ...{ id: "c1", execId: "e1", terminal: false },
    ...{ stdin: "c1/e1/stdin", stdout: "c1/e1/stdout", stderr: "c1/e1/stderr" },
  });
  assert.deepEqual(JSON.parse(new TextDecoder().decode(sentSpec.value)), {
    ...{ args: ["sh"], cwd: "/", user: { uid: 1 } },
  });
  const terminal = json("Process", { ...process, terminal: true }) as Any;
  await world.service.exec({
    ...execRequest("e2"),
    ...{ stderr: "/err", terminal: true, spec: terminal },
  });
  assert.equal((world.requests.at(-1) as ExecRequest).stderr, "");
});

Deno.test("state tells an exec's streams, and is paused with its container", async () => {
  const world = await worldWithExec("running");
  const { id, execId, pid, status, stdout, bundle } = world.service.state(e1);
  assert.deepEqual({ id, execId, pid, status, stdout, bundle }, {
    ...{ id: "e1", execId: "e1", pid: QEMU, status: 2, stdout: "/fifo-e", bundle: "/bundle" },
  });
  await world.service.controls.pause(c1);
  assert.equal(world.service.state(e1).status, 4);
  assert.equal(world.service.state(c1).status, 4);
  await world.service.controls.resume(c1);
  assert.equal(world.service.state(e1).status, 2);
  assert.deepEqual(world.news(), [
    ...["guest pause", "/tasks/paused", "guest resume", "/tasks/resumed"],
  ]);
  assert.equal((await worldWithExec("added")).service.state(e1).pid, 0);
});

Deno.test("an exec that the guest refuses is not there, and its id is free", async () => {
  const world = await worldIn("running");
  world.onCall = () => Promise.reject(new RpcError(Code.InvalidArgument, "no such user"));
  await assert.rejects(world.service.exec(execRequest("e1")), /no such user/);
  world.onCall = () => Promise.resolve();
  world.onOpenIo = () => Promise.reject(new RpcError(Code.InvalidArgument, "no such fifo"));
  await assert.rejects(world.service.exec(execRequest("e1")), /no such fifo/);
  assert.deepEqual(world.news(), ["guest exec e1", "guest exec e1", "guest delete e1"]);
  world.onOpenIo = () => Promise.resolve();
  await world.service.exec(execRequest("e1"));
});

Deno.test("an exec's streams are dialed beside the call, and let go when it is refused", async () => {
  for (const dialed of [true, false]) {
    const world = await worldIn("running");
    const [exec, dialing] = [held(), Promise.withResolvers<AbortSignal>()];
    world.onOpenIo = (_, refused) => {
      dialing.resolve(refused);
      if (dialed) return Promise.resolve();
      const { promise, reject } = Promise.withResolvers<void>();
      refused.addEventListener("abort", () => reject(refused.reason));
      return promise;
    };
    world.onCall = async () => {
      await exec.promise;
      throw new RpcError(Code.InvalidArgument, "no such user");
    };
    const adding = outcome(() => world.service.exec(execRequest("e1")));
    const refused = await dialing.promise;
    assert.equal(refused.aborted, false);
    exec.release();
    assert.equal(await adding, "InvalidArgument");
    assert.equal(refused.aborted, true);
    assert.deepEqual(world.disposed, dialed ? ["e1"] : []);
  }
});

Deno.test("one id is not added twice, though both are under way", async () => {
  const world = await worldIn("running");
  const exec = held();
  world.onCall = () => exec.promise;
  const first = world.service.exec(execRequest("e1"));
  assert.equal(await outcome(() => world.service.exec(execRequest("e1"))), "AlreadyExists");
  exec.release();
  await first;
});

Deno.test("an exec whose container goes in the meantime goes with it", async () => {
  const world = await worldIn("running");
  const open = held();
  world.onOpenIo = () => open.promise;
  const adding = outcome(() => world.service.exec(execRequest("e1")));
  await settle();
  world.exit(0);
  await world.service.wait(c1);
  await world.service.delete(c1);
  open.release();
  assert.equal(await adding, "NotFound");
  assert.deepEqual(world.disposed, ["", "e1"]);
});

Deno.test("an exec that cannot start stays added, and ends with nothing", async () => {
  const world = await worldWithExec("added");
  world.onCall = () => Promise.reject(new RpcError(Code.NotFound, "executable file not found"));
  await assert.rejects(world.service.start(e1), /executable file not found/);
  world.onCall = () => Promise.resolve();
  world.exit(127, "c1", "e1");
  await settle();
  assert.deepEqual(world.news(), ["guest start e1"]);
  assert.equal((await world.service.delete(e1)).exitStatus, 0);
});

Deno.test("a second start while the first is under way is refused, as is a delete", async () => {
  const world = await worldWithExec("added");
  const start = held();
  world.onCall = () => start.promise;
  const first = world.service.start(e1);
  assert.equal(await outcome(() => world.service.start(e1)), "FailedPrecondition");
  assert.equal(await outcome(() => world.service.delete(e1)), "FailedPrecondition");
  start.release();
  await first;
});

Deno.test("the init's exit is told after those of all execs, reported or not", async () => {
  const world = await worldWithExec("running");
  const { service } = world;
  for (const id of ["e2", "e3"]) await service.exec(execRequest(id));
  await service.start({ id: "c1", execId: "e2" });
  const drain = held();
  world.onDrain = (execId) => execId === "e1" ? drain.promise : Promise.resolve();
  world.news();
  world.exit(9, "c1", "e1");
  world.exit(3);
  await settle();
  assert.deepEqual(world.news(), [`/tasks/exit 137 pid ${QEMU} of e2`]);
  assert.equal(
    await outcome(() => service.start({ id: "c1", execId: "e3" })),
    "FailedPrecondition",
  );
  drain.release();
  assert.equal((await service.wait(c1)).exitStatus, 3);
  assert.deepEqual(world.news(), [
    `/tasks/exit 9 pid ${QEMU} of e1`,
    `/tasks/exit 3 pid ${QEMU}`,
  ]);
  // Those that nobody deleted go with the container, and whoever waits for one is told.
  const waiting = service.wait({ id: "c1", execId: "e3" });
  await service.delete(c1);
  assert.equal((await waiting).exitStatus, 0);
  assert.deepEqual(world.disposed.sort(), ["", "e1", "e2", "e3"]);
});

Deno.test("a lost VM ends its execs with 137, before its container", async () => {
  const world = await worldWithExec("running");
  world.listener!.onLost("qemu was killed");
  await world.service.wait(c1);
  assert.deepEqual(world.news(), [
    "sandbox is dropped",
    `/tasks/exit 137 pid ${QEMU} of e1`,
    `/tasks/exit 137 pid ${QEMU}`,
  ]);
  assert.equal((await world.service.delete(e1)).exitStatus, 137);
});

Deno.test("an exec that does not answer SIGKILL does not cost the VM", async () => {
  const world = await worldWithExec("running");
  world.onCall = () => Promise.reject(new RpcError(Code.DeadlineExceeded, "no answer"));
  const kill = () => world.service.controls.kill({ ...e1, signal: SIGKILL, all: false });
  assert.equal(await outcome(kill), "DeadlineExceeded");
  assert.deepEqual(world.news(), ["guest kill e1"]);
});

Deno.test("a pause that is overtaken by the end is not told", async () => {
  const world = await worldIn("running");
  const pause = held();
  world.onCall = () => pause.promise;
  const pausing = world.service.controls.pause(c1);
  world.exit(0);
  await world.service.wait(c1);
  pause.release();
  await pausing;
  assert.deepEqual(world.news(), ["guest pause", `/tasks/exit 0 pid ${QEMU}`]);
});

Deno.test("a container out of memory is told, one that is not ours is not", async () => {
  const world = await worldIn("running");
  world.listener!.onOom("c2");
  world.listener!.onOom("c1");
  world.exit(137);
  await world.service.wait(c1);
  assert.deepEqual(world.news(), ["/tasks/oom", `/tasks/exit 137 pid ${QEMU}`]);
});

Deno.test("execs are told among the processes, what the guest makes up is not", async () => {
  const world = await worldWithExec("running");
  const info = (execId: string) => packAny(runcOptions.ProcessDetailsSchema, { execId });
  world.processes = [
    { pid: 1 },
    { pid: 2, info: info("e1") },
    { pid: 3, info: info("e2") },
    { pid: 4, info: { typeUrl: "x", value: new Uint8Array(9) } },
  ];
  const { processes } = await world.service.controls.pids(c1);
  assert.deepEqual(processes.map(({ pid, info }) => [pid, info !== undefined]), [
    ...[[1, false], [2, true], [3, false], [4, false]],
  ]);
  assert.equal(unpackAny(runcOptions.ProcessDetailsSchema, processes[1]!.info!).execId, "e1");
  world.processes = Array(40_000).fill({ pid: 1 });
  assert.equal(await outcome(() => world.service.controls.pids(c1)), "Internal");
});

Deno.test("metrics are of their type, or an error", async () => {
  const world = await worldIn("running");
  const stats = async () => (await world.service.controls.stats(c1)).stats as Any;
  assert.equal(unpackAny(cgroups.MetricsSchema, await stats()).pids?.current, 3n);
  const value = new Uint8Array(300_000);
  const { typeUrl } = await stats();
  for (
    const wrong of [undefined, { typeUrl: "x", value: value.subarray(0, 1) }, { typeUrl, value }]
  ) {
    world.stats = wrong;
    assert.equal(await outcome(stats), "Internal");
  }
});

Deno.test("a terminal is resized within what an ioctl takes, anything else is left alone", async () => {
  const world = await worldIn("running");
  const { controls } = world.service;
  await controls.resizePty({ ...c1, width: 80, height: 25 });
  assert.deepEqual(world.news(), []);
  const spec = json("Process", { args: ["sh"], cwd: "/", terminal: true }) as Any;
  await world.service.exec({ ...execRequest("t"), terminal: true, spec });
  world.news();
  const t = { id: "c1", execId: "t" };
  await controls.resizePty({ ...t, width: 80, height: 65_535 });
  assert.deepEqual(world.news(), ["guest resizePty t"]);
  const huge = () => controls.resizePty({ ...t, width: 65_536, height: 1 });
  assert.equal(await outcome(huge), "InvalidArgument");
});

Deno.test("memory is held back once the container runs, and follows its limit", async () => {
  const world = new World();
  const monitor = {
    execute: (_: string, { value }: Record<string, unknown>) => {
      world.trace.push(`balloon ${Number(value) >> 20}`);
      return Promise.resolve({});
    },
  };
  world.balloon = new Balloon(monitor, { least: 384, most: 768 }, () => {});
  await world.service.create(request);
  assert(!world.news().some((line) => line.startsWith("balloon")));
  await world.service.start(c1);
  await settled(world);
  assert.equal(world.balloon.size, 384);
  const update = (mib: number) => {
    const value = new TextEncoder().encode(JSON.stringify({ memory: { limit: mib * 2 ** 20 } }));
    const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
    return world.service.controls.update({ id: "c1", resources: { typeUrl, value } as Any });
  };
  await update(512);
  await settle();
  assert.deepEqual(world.news(), ["balloon 768", "guest update"]);
  await update(200);
  await settle();
  assert.deepEqual(world.news(), ["guest update", "balloon 512"]);
  world.onCall = () => Promise.reject(new RpcError(Code.Internal, "crun would not"));
  assert.equal(await outcome(() => update(512)), "Internal");
  await settle();
  assert.deepEqual(world.news(), ["balloon 768", "guest update", "balloon 512"]);
  assert.equal(await outcome(() => update(513)), "FailedPrecondition");
  assert.deepEqual(world.news(), []);
});

/** A world with a pod: c1 is its first container. */
async function podWorld(): Promise<World> {
  const world = new World();
  world.pod = {
    hostPid: QEMU,
    size: { memoryMib: 384, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 },
  } as Pod;
  await world.service.create(request);
  await world.service.start(c1);
  return settled(world);
}
const c2 = { id: "c2", execId: "" };

Deno.test("containers come into a pod and go, and the VM goes with the last one", async () => {
  const world = await podWorld();
  const member = { ...request, id: "c2", bundle: "/bundle-2" };
  assert.deepEqual(await world.service.create(member), { pid: QEMU });
  await world.service.start(c2);
  assert.equal(world.service.state(c2).pid, QEMU);
  assert.deepEqual(world.news(), [
    "c2 joins",
    "/tasks/create pid 4711",
    "guest start",
    "/tasks/start pid 4711",
  ]);
  assert.equal(
    await outcome(() => world.service.create({ ...request, id: "c2" })),
    "AlreadyExists",
  );
  world.exit(4, "c2");
  assert.equal((await world.service.wait(c2)).exitStatus, 4);
  assert.equal((await world.service.delete(c2)).exitStatus, 4);
  await world.service.shutdown(); // not yet
  assert.deepEqual(world.news(), [
    "/tasks/exit 4 pid 4711 of c2",
    "/bundle-2 left /bundle",
    "c2 leaves",
    "/tasks/delete 4 pid 4711",
  ]);
  // Its name is free, and the first may go before others.
  await world.service.create(member);
  world.exit(0);
  await world.service.wait(c1);
  await world.service.delete(c1);
  assert.deepEqual(world.news().filter((line) => /left|ends/.test(line)), [
    "/bundle left /bundle-2",
  ]);
  await world.service.delete(c2);
  assert.deepEqual(world.news().filter((line) => /leaves|left|ends/.test(line)), ["sandbox ends"]);
});

Deno.test("a container that cannot come into its pod is not there, and may try again", async () => {
  const world = await podWorld();
  world.onJoin = () => Promise.reject(new RpcError(Code.Internal, "no such image"));
  assert.equal(await outcome(() => world.service.create({ ...request, id: "c2" })), "Internal");
  assert.equal(await outcome(() => world.service.state(c2)), "NotFound");
  const joining = Promise.withResolvers<void>();
  world.onJoin = () => joining.promise;
  const first = world.service.create({ ...request, id: "c2" });
  const second = world.service.create({ ...request, id: "c2" });
  assert.equal(await outcome(() => second), "AlreadyExists");
  // Nobody ends the VM under what is about to come into it.
  world.exit(0);
  await world.service.wait(c1);
  await world.service.delete(c1);
  await world.service.shutdown();
  assert(!world.news().includes("sandbox ends"));
  joining.resolve();
  await first;
  assert.equal(await outcome(() => world.service.state(c2)), "OK");
});

Deno.test("what a container leaves in its pod is told, and it is deleted all the same", async () => {
  const world = await podWorld();
  world.onLeave = () => Promise.reject(new Error("busy"));
  await world.service.create({ ...request, id: "c2" });
  await world.service.delete(c2);
  assert.deepEqual(world.log.at("warn"), ["container c2 left something: busy"]);
  assert.equal(await outcome(() => world.service.state(c2)), "NotFound");
  assert(world.service.isClean);
});

Deno.test("all containers of a lost VM were killed", async () => {
  const world = await podWorld();
  await world.service.create({ ...request, id: "c2" });
  await world.service.start(c2);
  world.news();
  world.listener!.onLost("QEMU ended");
  assert.equal((await world.service.wait(c2)).exitStatus, 137);
  assert.equal((await world.service.wait(c1)).exitStatus, 137);
  assert.deepEqual(world.news().filter((line) => line.startsWith("/tasks/exit")), [
    "/tasks/exit 137 pid 4711",
    "/tasks/exit 137 pid 4711 of c2",
  ]);
  await world.service.delete(c2);
  assert(!world.news().includes("c2 leaves"), "there is nothing to leave any more");
});
