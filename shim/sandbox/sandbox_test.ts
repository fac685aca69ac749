import assert from "node:assert/strict";
import { poll } from "../../base/mod.ts";
import { recording } from "../../ffi/mod.ts";
import type { CreateSteps } from "./create_steps.ts";
import type { GuestExit } from "../guest_client/guest_connection.ts";
import { Sandbox } from "./sandbox.ts";
import { MemoryLog, settle } from "../testing/test_support.ts";

const QEMU_PID = 4711, GUEST_PID = 77;
const BUNDLE = { typeUrl: "bundle" };
const NETWORK = { interfaces: [] };

/** Fake steps of Create, with a trace of what was made and released, in order. */
class FakeSteps {
  readonly trace: string[] = [];
  readonly exited = Promise.withResolvers<{ message: string }>();
  readonly closed = Promise.withResolvers<void>();
  shutdownGuest: () => Promise<void> = () => Promise.resolve();
  ping: () => Promise<void> = () => Promise.resolve();
  disposeVm: () => void = () => {};
  /** Events of the guest. They stay pending unless a test replaces this. */
  exits: (signal: AbortSignal) => AsyncGenerator<GuestExit> = pendingExits;

  size = { memoryMib: 384, memoryMibMax: 384, vcpus: 1, vcpusMax: 1 };
  leastGraceMs = 0;
  makeRuntimeDirectory = () => this.#made("runtime directory");
  prepareStorage = () => ({ layerDisk: null, ...this.#made("rootfs") });
  makeWritableLayer = () => ({ disk: null, ...this.#made("writable layer") });
  openConsoleLog = () => this.#made("console log");
  prepareNetwork = () => {
    const made = this.#made("network");
    let released = false;
    return {
      [Symbol.asyncDispose]: () => {
        if (!released) made[Symbol.dispose]();
        released = true;
        return Promise.resolve();
      },
    };
  };
  encodeBundle = () => Promise.resolve({ request: BUNDLE, network: NETWORK });
  configureNetwork = () => ({});
  bootVm = () => ({
    ...this.#made("vm"),
    processes: [{ pid: QEMU_PID }],
    exited: this.exited.promise,
    [Symbol.dispose]: () => {
      this.trace.push("-vm");
      this.disposeVm();
    },
  });
  connectGuest = () => ({
    ...this.#made("guest"),
    closed: this.closed.promise,
    events: (signal: AbortSignal) => this.exits(signal),
    adjustClock: () => Promise.reject(new Error("not now")),
    ping: () => this.ping(),
    shutdown: (graceMs: number) => {
      this.trace.push(`guest shutdown ${graceMs}`);
      return this.shutdownGuest();
    },
  });
  sendCheckpoint = () => {};
  configureGuest = () => {};
  createContainer = async (_: unknown, bundle: Promise<{ request: unknown }>) => {
    assert.equal((await bundle).request, BUNDLE);
    return GUEST_PID;
  };
  openIo = async (_: unknown, bundle: Promise<unknown>) => {
    await bundle;
    return {
      ...this.#made("io"),
      [Symbol.asyncDispose]: () => Promise.resolve(void this.trace.push("-io")),
    };
  };
  podOf = (pod: unknown) => {
    assert.deepEqual(pod, { hostPid: QEMU_PID, guestPid: GUEST_PID, network: NETWORK });
    return null;
  };

  #made(what: string): Disposable {
    this.trace.push(`+${what}`);
    return { [Symbol.dispose]: () => void this.trace.push(`-${what}`) };
  }

  asSteps(): CreateSteps {
    return this as unknown as CreateSteps;
  }
}

// deno-lint-ignore require-yield -- it has none
async function* pendingExits(signal: AbortSignal): AsyncGenerator<GuestExit> {
  await new Promise((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  );
}

/** The container owns the stdio: the end of the sandbox does not release it. */
const IO = "+io";
const RELEASED = [
  ...["-guest", "-vm", "-network", "-console log", "-writable layer", "-rootfs"],
  "-runtime directory",
];
/** Trace of an end: the network's plugins run beside the guest's shutdown. */
const ENDED = ["-network", "guest shutdown 500", ...RELEASED.filter((line) => line !== "-network")];
const MADE = RELEASED.map((line) => `+${line.slice(1)}`).reverse();

async function running(prepare: (steps: FakeSteps) => void = () => {}) {
  const steps = new FakeSteps();
  prepare(steps);
  const log = new MemoryLog();
  const { sandbox } = await Sandbox.create(steps.asSteps(), log);
  const heard: string[] = [];
  sandbox.watch({
    onExit: ({ containerId, exit }) => heard.push(`${containerId} ${exit.status}`),
    onOom: (id) => heard.push(`oom ${id}`),
    onLost: (reason) => heard.push(`lost: ${reason}`),
  });
  steps.trace.length = 0;
  return { steps, sandbox, heard, log };
}

Deno.test("a create that fails at any step releases everything made before", async () => {
  const whole = new FakeSteps();
  const { double, calls } = recording(whole.asSteps());
  const { sandbox } = await Sandbox.create(double, new MemoryLog());
  assert.deepEqual(whole.trace, [...MADE, IO]);
  assert.equal(sandbox.pid, QEMU_PID);
  const steps = calls.length;
  assert.equal(steps, 14);
  for (let failAt = 0; failAt < steps; failAt++) {
    const fake = new FakeSteps();
    const { double } = recording(fake.asSteps(), { failAt, error: () => new Error("step failed") });
    await assert.rejects(Sandbox.create(double, new MemoryLog()), /step failed/);
    const made = fake.trace.filter((line) => line.startsWith("+"));
    const released = fake.trace.filter((line) => line.startsWith("-"));
    assert.deepEqual(released, made.map((line) => `-${line.slice(1)}`).reverse(), `step ${failAt}`);
  }
});

Deno.test("end asks the guest, and releases everything when it has answered", async () => {
  const { sandbox, steps, heard } = await running();
  await sandbox.end(500);
  assert.deepEqual(steps.trace, ENDED);
  steps.exited.resolve({ message: "guest reset" });
  steps.closed.resolve();
  await settle();
  assert.deepEqual(heard, [], "an intended end is not a loss");
});

Deno.test("end gives a guest time to write to a disk that outlives it", async () => {
  const { sandbox, steps } = await running((steps) => steps.leastGraceMs = 60_000);
  await sandbox.end(500);
  assert.equal(steps.trace[1], "guest shutdown 60000");
});

Deno.test("end goes on when the guest does not acknowledge its shutdown", async () => {
  const { sandbox, steps } = await running();
  steps.shutdownGuest = () => Promise.reject(new Error("unavailable"));
  await sandbox.end(500);
  assert.deepEqual(steps.trace, ENDED);
});

Deno.test("end releases the rest when the VM cannot be released", async () => {
  const { sandbox, steps } = await running();
  steps.disposeVm = () => {
    throw new Error("qemu is stuck");
  };
  await assert.rejects(sandbox.end(500), /qemu is stuck/);
  assert.deepEqual(steps.trace, ENDED);
});

Deno.test("every resource is released once", async () => {
  const { sandbox, steps } = await running();
  await sandbox[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
  await sandbox.end(500);
  assert.deepEqual(
    steps.trace.filter((line) => line.startsWith("-")).toSorted(),
    RELEASED.toSorted(),
  );
});

/** Waits for reports: a loss that the guest shows is held back for a moment. */
async function heardOf(heard: readonly string[], count: number): Promise<void> {
  const isHeard = () => heard.length >= count || null;
  assert.ok(await poll(isHeard, { everyMs: 5, timeoutMs: 10_000 }));
}

Deno.test("a VM that ends is the reason, though its connections end before it", async () => {
  const { steps, heard } = await running();
  steps.closed.resolve();
  await settle();
  assert.deepEqual(heard, []);
  steps.exited.resolve({ message: "qemu was killed" });
  await heardOf(heard, 1);
  assert.deepEqual(heard, ["lost: qemu was killed"]);
});

Deno.test("a loss is reported once, whatever shows it first", async () => {
  const causes: [string, (steps: FakeSteps) => void, RegExp][] = [
    ["the VM ends", (steps) => steps.exited.resolve({ message: "qemu was killed" }), /qemu was/],
    ["watching fails", (steps) => steps.exited.reject(new Error("no child")), /no child/],
    ["the connection ends", (steps) => steps.closed.resolve(), /no longer answers/],
  ];
  for (const [what, cause, message] of causes) {
    const { steps, heard } = await running();
    cause(steps);
    await heardOf(heard, 1);
    steps.exited.resolve({ message: "later" });
    steps.closed.resolve();
    await settle();
    assert.equal(heard.length, 1, what);
    assert.match(heard[0]!, message);
  }
});

Deno.test("a guest that answers no ping is a loss", async () => {
  const { sandbox, steps, heard } = await running();
  steps.ping = () => new Promise(() => {});
  await sandbox.watchAnswers(600);
  assert.deepEqual(heard, ["lost: guest has not answered for 0.6 s"]);
  const other = await running();
  const watching = other.sandbox.watchAnswers(60_000);
  await other.sandbox.end(500);
  await watching;
  assert.deepEqual(other.heard, []);
});

Deno.test("exits are passed on, and the VM is lost when the events end", async () => {
  const exit = { containerId: "c1", processId: "c1", exit: { status: 3, at: new Date() } };
  const { heard } = await running((steps) => {
    steps.exits = async function* () {
      await null;
      yield exit;
    };
  });
  await heardOf(heard, 2);
  assert.deepEqual(heard, ["c1 3", "lost: the guest ended its events"]);
  const broken = await running((steps) => {
    // deno-lint-ignore require-yield -- it breaks off before
    steps.exits = async function* () {
      await null;
      throw new Error("invalid message");
    };
  });
  await heardOf(broken.heard, 1);
  assert.deepEqual(broken.heard, ["lost: the guest's events broke off: invalid message"]);
});

Deno.test("who ends a sandbox that is being ended waits until all is released", async () => {
  const released = Promise.withResolvers<void>();
  const { steps, sandbox } = await running((steps) => {
    const bootVm = steps.bootVm;
    steps.bootVm = () => ({ ...bootVm(), [Symbol.asyncDispose]: () => released.promise });
  });
  steps.shutdownGuest = () => Promise.reject(new Error("no VM"));
  const first = sandbox[Symbol.asyncDispose]();
  const second = sandbox.end(500).then(() => "ended");
  assert.equal(await Promise.race([second, settle().then(() => "waits")]), "waits");
  assert.ok(!steps.trace.includes("-runtime directory"));
  released.resolve();
  assert.equal(await second, "ended");
  await first;
  assert.ok(steps.trace.includes("-runtime directory"));
});
