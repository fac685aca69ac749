import { type Any, cgroups, Code, packAny } from "../../proto/mod.ts";
import { Balloon } from "../../qemu/mod.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import type { ExecRequest } from "../plan/exec_plan.ts";
import type { Pod } from "../sandbox/pod.ts";
import type { Sandbox, SandboxListener } from "../sandbox/sandbox.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import { toRpcError } from "../task/errors.ts";
import { TaskEvents } from "../task/task_events.ts";
import { TaskService, type TaskServiceDeps } from "../task/task_service.ts";
import { MemoryLog, settle } from "./test_support.ts";

export const SIGTERM = 15, SIGKILL = 9;
export const QEMU = 4711, SHIM = 42;
export const request: CreateRequest = {
  id: "c1",
  bundle: "/bundle",
  rootfs: [{ type: "bind", source: "/image", options: ["ro"] }],
  stdin: "",
  stdout: "/fifo",
  stderr: "",
  terminal: false,
  checkpoint: "",
};
export const c1 = { id: "c1", execId: "" };

/** From the setting shutdown_timeout_seconds. */
export const SHUTDOWN_TIMEOUT_MS = 1234;
/** From the setting guest_timeout_seconds. */
export const GUEST_TIMEOUT_MS = 4321;

/** A task service with fake surroundings, and a trace of what it did to them, in order. */
export class World {
  readonly trace: string[] = [];
  readonly log = new MemoryLog();
  /** Exec ids whose streams were released. */
  readonly disposed: string[] = [];
  /** How long the guest was given to shut down. */
  graceMs: number | null = null;
  /** How long the guest may be silent; null: nobody pings it. */
  answersWithinMs: number | null = null;
  /** Requests to the guest, in order. */
  readonly requests: unknown[] = [];
  /** The guest's answer to Stats. */
  stats: unknown = packAny(cgroups.MetricsSchema, { pids: { current: 3n } });
  /** The guest's answer to Pids. */
  processes: unknown[] = [{ pid: 7 }, { pid: 8 }];
  listener: SandboxListener | null = null;
  /** Holds memory of the VM back; null: the VM does not grow. */
  balloon: Balloon | null = null;
  /** Runs for a call to the guest, which succeeds at once unless a test replaces this. */
  onCall: (name: string) => Promise<void> = () => Promise.resolve();
  /** Receives the signal of a call to the guest that has one. */
  onSignal: (signal: AbortSignal) => void = () => {};
  onCreate: () => Promise<void> = () => Promise.resolve();
  /** What the VM has for further containers; null: it is for one container. */
  pod: Pod | null = null;
  onJoin: (id: string) => Promise<void> = () => Promise.resolve();
  onLeave: () => Promise<void> = () => Promise.resolve();
  onDrain: (execId: string) => Promise<void> = () => Promise.resolve();
  onOpenIo: (execId: string, refused: AbortSignal) => Promise<void> = () => Promise.resolve();
  onEnd: () => Promise<void> = () => Promise.resolve();
  readonly service: TaskService;

  /** @param killTimeoutMs from the setting kill_timeout_seconds; default: no deadline. */
  constructor({ killTimeoutMs = Infinity }: { readonly killTimeoutMs?: number } = {}) {
    const publisher = {
      publish: (topic: string, _schema: unknown, message: Record<string, unknown>) => {
        const status = "exitStatus" in message ? ` ${message["exitStatus"]}` : "";
        const exec = message["execId"] ?? (message["id"] === "c1" ? undefined : message["id"]);
        const pid = "pid" in message ? ` pid ${message["pid"]}` : "";
        this.trace.push(`${topic}${status}${pid}${exec === undefined ? "" : ` of ${exec}`}`);
      },
    };
    this.service = new TaskService({
      events: new TaskEvents(publisher as never, this.log),
      log: this.log,
      sandboxes: this.#sandboxes(),
      shim: {
        started: () => {},
        stopped: () => {},
        exit: () => void this.trace.push("shim exits"),
      },
      drainTimeoutMs: 1000,
      shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS,
      killTimeoutMs,
      guestTimeoutMs: GUEST_TIMEOUT_MS,
      shimPid: SHIM,
    });
  }

  #sandboxes(): TaskServiceDeps["sandboxes"] {
    return {
      create: async () => {
        await this.onCreate();
        return {
          sandbox: this.#sandbox() as unknown as Sandbox,
          io: this.#io("") as ProcessIo,
          size: { memoryMib: 384, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 },
        };
      },
      join: async ({ id }) => {
        await this.onJoin(id);
        this.trace.push(`${id} joins`);
        const leave = async () => {
          this.trace.push(`${id} leaves`);
          await this.onLeave();
        };
        return { io: this.#io("") as ProcessIo, leave: { [Symbol.asyncDispose]: leave } };
      },
      openIo: async ({ execId }, _guest, refused) => {
        await this.onOpenIo(execId, refused);
        return this.#io(execId) as ProcessIo;
      },
      limiting: async (_, update) => void await update(),
      keepFor: (bundle, others) => void this.trace.push(`${bundle} left ${others}`),
    };
  }

  #sandbox() {
    const call = (name: string, answer: object = {}) =>
    async (
      request: { execId?: string },
      { signal }: { signal?: AbortSignal } = {},
    ) => {
      if (signal !== undefined) this.onSignal(signal);
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
      watchAnswers: (timeoutMs: number) => this.answersWithinMs = timeoutMs,
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
      abandonOutput: () => {
        this.trace.push(`output${execId && ` of ${execId}`} given up`);
        abandoned.resolve();
      },
      [Symbol.asyncDispose]: () => {
        this.disposed.push(execId);
        abandoned.resolve();
        return Promise.resolve();
      },
    } as unknown;
  }

  /** The guest reports the exit of a process. */
  exit(status: number, containerId = "c1", processId = containerId): void {
    this.listener!.onExit({ containerId, processId, exit: { status, at: new Date(1000) } });
  }

  /** Takes the trace since the last call. */
  news(): string[] {
    return this.trace.splice(0);
  }
}

export type StateName = "none" | "created" | "running" | "paused" | "stopped" | "deleted";

/** Makes a world whose container is in a state. */
export async function worldIn(
  state: StateName,
  options: ConstructorParameters<typeof World>[0] = {},
): Promise<World> {
  const world = new World(options);
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

export async function settled(world: World): Promise<World> {
  await settle();
  world.news();
  return world;
}

export async function outcome(call: () => unknown): Promise<string> {
  try {
    await call();
    return "OK";
  } catch (error) {
    return Code[toRpcError(error).code];
  }
}

export function held(): {
  promise: Promise<void>;
  release: () => void;
  fail: (error: Error) => void;
} {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { promise, release: resolve, fail: reject };
}

export const json = (type: string, value: unknown): Pick<Any, "typeUrl" | "value"> => ({
  typeUrl: `types.containerd.io/opencontainers/runtime-spec/1/${type}`,
  value: new TextEncoder().encode(JSON.stringify(value)),
});
export const e1 = { id: "c1", execId: "e1" };
export const execRequest = (execId: string): ExecRequest => ({
  ...{ id: "c1", execId, terminal: false, stdin: "", stdout: "/fifo-e", stderr: "" },
  spec: json("Process", { args: ["true"], cwd: "/" }) as ExecRequest["spec"],
});
export const resources = json("LinuxResources", { memory: { limit: 1 << 20 } }) as Any;

export type ExecState = "none" | "added" | "running" | "stopped" | "deleted";

/** Makes a world whose container runs and has an exec in a state. */
export async function worldWithExec(state: ExecState): Promise<World> {
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
