import assert from "node:assert/strict";
import { FdListener, poller, system } from "../../ffi/mod.ts";
import {
  Code,
  events,
  eventsService,
  implement,
  RpcError,
  TtrpcServer,
  unpackAny,
} from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import { EVENT_QUEUE_MAX, EventPublisher } from "./event_publisher.ts";
import { MemoryLog, temporaryFolder } from "../testing/test_support.ts";

/** containerd's Events service, which can be told to fail. */
class Containerd {
  /** Container ids of the events that were taken, in order. */
  readonly taken: string[] = [];
  readonly envelopes: { namespace: string; topic: string; typeUrl: string }[] = [];
  /** Called before an event is taken. */
  onForward: (id: string) => void | Promise<void> = () => {};
  #reached = Promise.withResolvers<void>();

  readonly binding = implement(eventsService.Events, {
    forward: async ({ envelope }) => {
      const { containerId } = unpackAny(events.TaskStartSchema, envelope!.event!);
      await this.onForward(containerId);
      const { namespace, topic } = envelope!;
      this.envelopes.push({ namespace, topic, typeUrl: envelope!.event!.typeUrl });
      this.taken.push(containerId);
      this.#reached.resolve();
      this.#reached = Promise.withResolvers();
      return {};
    },
  });

  /** Resolves when so many events were taken. */
  async took(count: number): Promise<void> {
    while (this.taken.length < count) await this.#reached.promise;
  }

  /** Serves at a unix socket, until the end of the scope. */
  serve(path: string): AsyncDisposable {
    const listener = new FdListener(system.listenUnix(path));
    const server = new TtrpcServer([this.binding]);
    void (async () => {
      for (;;) void server.serve(await listener.accept());
    })().catch(() => {});
    return {
      [Symbol.asyncDispose]: async () => {
        Deno.removeSync(path);
        listener.close();
        server.close();
        await poller.idle();
      },
    };
  }
}

function publish(publisher: EventPublisher, id: string): void {
  publisher.publish("/tasks/start", events.TaskStartSchema, { containerId: id, pid: 1 });
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => String(from + i));

Deno.test("events arrive once and in order, with namespace, topic and type", async () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/s`;
  const containerd = new Containerd();
  await using _server = containerd.serve(path);
  const log = new MemoryLog();
  const publisher = new EventPublisher(`unix://${path}`, "k8s.io", log);
  for (const id of numbers(0, 100)) publish(publisher, id);
  await publisher.close(60_000);
  assert.deepEqual(containerd.taken, numbers(0, 100));
  assert.deepEqual(containerd.envelopes[0], {
    namespace: "k8s.io",
    topic: "/tasks/start",
    typeUrl: "containerd.events.TaskStart",
  });
  assert.deepEqual(log.lines, []);
});

Deno.test("a restart of containerd loses no event", async () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/s`;
  const containerd = new Containerd();
  const log = new MemoryLog();
  const publisher = new EventPublisher(path, "default", log);
  {
    await using _server = containerd.serve(path);
    for (const id of numbers(0, 3)) publish(publisher, id);
    await containerd.took(3);
  }
  // Nobody is there: no socket at first, then one that nobody listens at.
  for (const id of numbers(3, 6)) publish(publisher, id);
  system.close(system.listenUnix(path));
  for (const id of numbers(6, 9)) publish(publisher, id);
  Deno.removeSync(path);
  await using _server = containerd.serve(path);
  await publisher.close(60_000);
  // The answer to the third may have been lost with the first server: it is sent again then.
  assert.deepEqual([...new Set(containerd.taken)], numbers(0, 9));
  assert.ok(containerd.taken.length <= 10, containerd.taken.join());
  assert.deepEqual(log.at("error"), []);
});

Deno.test("an event that containerd refuses is sent again before those behind it", async () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/s`;
  const containerd = new Containerd();
  const tries: string[] = [];
  containerd.onForward = (id) => {
    tries.push(id);
    if (tries.length < 3) throw new RpcError(Code.Unavailable, "starting");
  };
  await using _server = containerd.serve(path);
  const publisher = new EventPublisher(path, "default", new MemoryLog());
  for (const id of numbers(0, 2)) publish(publisher, id);
  await publisher.close(60_000);
  assert.deepEqual(tries, ["0", "0", "0", "1"]);
  assert.deepEqual(containerd.taken, ["0", "1"]);
});

Deno.test("an event that containerd keeps refusing is dropped with an error, and holds back no other", async () => {
  const containerd = new Containerd();
  const tries: string[] = [];
  containerd.onForward = (id) => {
    tries.push(id);
    if (id === "0") throw new RpcError(Code.InvalidArgument, "topic is invalid");
  };
  const server = new TtrpcServer([containerd.binding]);
  const log = new MemoryLog();
  const publisher = new EventPublisher("memory", "default", log, () => {
    const [ours, theirs] = memoryPair();
    void server.serve(theirs);
    return Promise.resolve(ours);
  });
  const { setTimeout: real } = globalThis;
  globalThis.setTimeout =
    ((run: () => void, ms: number) => real(run, ms / 50)) as typeof setTimeout;
  try {
    for (const id of numbers(0, 3)) publish(publisher, id);
    await containerd.took(2);
  } finally {
    globalThis.setTimeout = real;
  }
  await publisher.close(1000);
  server.close();
  assert.deepEqual(containerd.taken, ["1", "2"]);
  assert.deepEqual(tries, [...Array(10).fill("0"), "1", "2"]);
  assert.deepEqual(log.at("error"), [
    "event /tasks/start is LOST: containerd refuses it: topic is invalid",
  ]);
});

Deno.test("expendable events take at most half of the queue", async () => {
  const log = new MemoryLog();
  const publisher = new EventPublisher("/no/such/socket", "default", log);
  const oom = () =>
    publisher.publish("/tasks/oom", events.TaskOOMSchema, { containerId: "c" }, {
      expendable: true,
    });
  for (let i = 0; i < EVENT_QUEUE_MAX / 2; i++) oom();
  assert.deepEqual(log.at("error"), []);
  oom();
  assert.match(log.at("error").join(), /^event \/tasks\/oom is LOST/);
  publish(publisher, "c1");
  assert.equal(log.at("error").length, 1);
  await publisher.close(0);
});

Deno.test("events beyond the bound are dropped with an error, and older ones are kept", async () => {
  using folder = temporaryFolder();
  const log = new MemoryLog();
  const publisher = new EventPublisher(`${folder.path}/none`, "default", log);
  for (const id of numbers(0, EVENT_QUEUE_MAX)) publish(publisher, id);
  assert.deepEqual(log.at("error"), []);
  publish(publisher, "too many");
  assert.match(log.at("error").join(), /^event \/tasks\/start is LOST/);
  await publisher.close(0);
  assert.match(log.at("error").at(-1)!, new RegExp(`^${EVENT_QUEUE_MAX} events are LOST`));
});

Deno.test("close waits for an event on its way, at most its timeout", async () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/s`;
  const containerd = new Containerd();
  containerd.onForward = () => new Promise(() => {});
  await using _server = containerd.serve(path);
  const log = new MemoryLog();
  const publisher = new EventPublisher(path, "default", log);
  publish(publisher, "c1");
  await publisher.close(20);
  assert.deepEqual(log.at("error"), ["1 events are LOST: containerd did not take them"]);
});

Deno.test("an event after close is dropped with an error", async () => {
  const log = new MemoryLog();
  const publisher = new EventPublisher("/no/such/socket", "default", log);
  await publisher.close(1000);
  publish(publisher, "late");
  assert.match(log.at("error").join(), /LOST/);
});

Deno.test("without an address events are dropped silently", async () => {
  const log = new MemoryLog();
  const publisher = new EventPublisher("", "default", log);
  publish(publisher, "c1");
  await publisher.close(1000);
  assert.deepEqual(log.lines, []);
});

Deno.test("an event queued at any moment of another's delivery is sent", async () => {
  // In memory all of it happens in microtasks, so that each moment can be tried.
  for (let moment = 0; moment < 120; moment++) {
    const containerd = new Containerd();
    const server = new TtrpcServer([containerd.binding]);
    const dial = () => {
      const [ours, theirs] = memoryPair();
      void server.serve(theirs);
      return Promise.resolve(ours);
    };
    const publisher = new EventPublisher("memory", "default", new MemoryLog(), dial);
    const later = async () => {
      for (let i = 0; i < moment; i++) await null;
      publish(publisher, "second");
    };
    containerd.onForward = (id) => {
      if (id === "first") void later();
    };
    publish(publisher, "first");
    await containerd.took(2);
    await publisher.close(1000);
    server.close();
  }
});
