/** containerd's side of events: a TTRPC server that keeps every event. */

import { FdListener, system } from "../../ffi/mod.ts";
import { events, eventsService, implement, TtrpcServer, unpackAny } from "../../proto/mod.ts";
import { patience, within } from "../lib/wait.ts";

const SCHEMAS = {
  "/tasks/create": events.TaskCreateSchema,
  "/tasks/start": events.TaskStartSchema,
  "/tasks/exit": events.TaskExitSchema,
  "/tasks/delete": events.TaskDeleteSchema,
  "/tasks/exec-added": events.TaskExecAddedSchema,
  "/tasks/exec-started": events.TaskExecStartedSchema,
  "/tasks/oom": events.TaskOOMSchema,
  "/tasks/paused": events.TaskPausedSchema,
  "/tasks/resumed": events.TaskResumedSchema,
  "/tasks/checkpointed": events.TaskCheckpointedSchema,
} as const;
const SENT_WITHIN_MS = patience(60_000);

/** An event; fields that its kind lacks are undefined. */
export interface TaskEvent {
  readonly topic: string;
  readonly namespace: string;
  readonly containerId: string;
  /** Id of the exec, whatever the event calls it; empty for the container's init. */
  readonly execId: string;
  readonly pid?: number;
  readonly exitStatus?: number;
  /** The whole message. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A server that listens until it is closed. */
export class EventsServer {
  readonly path: string;
  readonly seen: TaskEvent[] = [];
  readonly #listener: FdListener;
  readonly #server: TtrpcServer;
  #more = Promise.withResolvers<void>();

  private constructor(path: string) {
    this.path = path;
    const listener = new FdListener(system.listenUnix(path));
    const server = new TtrpcServer([
      implement(eventsService.Events, {
        forward: ({ envelope }) => {
          this.#take(envelope!);
          return {};
        },
      }),
    ]);
    void (async () => {
      for (;;) void server.serve(await listener.accept());
    })().catch(() => {});
    this.#listener = listener;
    this.#server = server;
  }

  static listen(path: string): EventsServer {
    return new EventsServer(path);
  }

  /** Returns the events of a container so far. */
  of(containerId: string): TaskEvent[] {
    return this.seen.filter((event) => event.containerId === containerId);
  }

  /** Returns a line per event, to compare: topic, exec, status. */
  lines(containerId: string): string[] {
    return this.of(containerId).map(({ topic, execId, exitStatus }) =>
      [topic.replace("/tasks/", ""), execId, exitStatus].filter((part) =>
        part !== undefined && part !== ""
      ).join(" ")
    );
  }

  /** Waits for an event; returns at once if it has been seen already. */
  async wait(topic: keyof typeof SCHEMAS, containerId: string, execId = ""): Promise<TaskEvent> {
    const search = async () => {
      for (;;) {
        const found = this.of(containerId).find((one) =>
          one.topic === topic && one.execId === execId
        );
        if (found !== undefined) return found;
        await this.#more.promise;
      }
    };
    return await within(`event ${topic} of ${containerId} ${execId}`, SENT_WITHIN_MS, search());
  }

  close(): void {
    this.#listener.close();
    this.#server.close();
  }

  #take(envelope: NonNullable<eventsService.ForwardRequest["envelope"]>): void {
    const { topic, namespace, event } = envelope;
    const schema = SCHEMAS[topic as keyof typeof SCHEMAS];
    if (schema === undefined || event === undefined) throw new Error(`unexpected event ${topic}`);
    const body = unpackAny(schema as typeof events.TaskExitSchema, event) as unknown as Record<
      string,
      unknown
    >;
    const containerId = String(body["containerId"]);
    const own = body["execId"] ?? body["id"] ?? "";
    this.seen.push({
      topic,
      namespace,
      containerId,
      execId: own === containerId ? "" : String(own),
      ...("pid" in body ? { pid: Number(body["pid"]) } : {}),
      ...("exitStatus" in body ? { exitStatus: Number(body["exitStatus"]) } : {}),
      body,
    });
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}
