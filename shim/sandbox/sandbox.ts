import { delay } from "../../base/mod.ts";
import type { SandboxNetwork } from "../../net/mod.ts";
import type { Balloon, Vm, VmSize } from "../../qemu/mod.ts";
import type { Logger } from "../base/log.ts";
import type { GuestConnection, GuestExit } from "../guest_client/guest_connection.ts";
import { begin, ioOf } from "../guest_client/guest_io.ts";
import type { ProcessIo } from "../stdio/process_io.ts";
import type { Bundle, CreateSteps } from "./create_steps.ts";
import { keepClock } from "./guest_clock.ts";
import { untilSilent } from "./liveness.ts";
import { MemoryWishes } from "./memory_wishes.ts";
import type { Pod } from "./pod.ts";

/** Connections of a dying VM may end this long before its exit shows. */
const VM_END_SHOWS_MS = 500;

/** What a sandbox reports to its owner. */
export interface SandboxListener {
  /** The guest reports the exit of a process. */
  onExit(exit: GuestExit): void;
  /** The guest reports an OOM kill: its container's memory was at its limit. */
  onOom(containerId: string): void;
  /** The VM is gone, or no longer answers. Every process in it is dead. */
  onLost(reason: string): void;
}

/** A sandbox, and the stdio of its first container. */
export interface NewSandbox {
  readonly sandbox: Sandbox;
  readonly io: ProcessIo;
  readonly size: VmSize;
}

/** The parts of a sandbox. */
interface SandboxParts {
  readonly vm: Vm;
  readonly network: AsyncDisposable;
  readonly guest: GuestConnection;
  readonly pod: Pod | null;
  readonly resources: AsyncDisposableStack;
  readonly log: Logger;
  readonly leastGraceMs: number;
}

/**
 * A VM with its helpers, its resources on the host and the connection into it. Containers live in
 * it and are kept apart from it: it owns none of them.
 */
export class Sandbox implements AsyncDisposable {
  readonly guest: GuestConnection;
  /** What it has for containers that join later; null: it is for one container. */
  readonly pod: Pod | null;
  readonly #vm: Vm;
  readonly #network: AsyncDisposable;
  readonly #resources: AsyncDisposableStack;
  readonly #log: Logger;
  readonly #leastGraceMs: number;
  readonly #ending = new AbortController();
  /** The first release. A stack that is being disposed does not make a second caller wait. */
  #released: Promise<void> | null = null;
  /** Reports a loss to the listener, once. */
  #lost: (reason: string) => void = () => {};

  private constructor(parts: SandboxParts) {
    this.#vm = parts.vm;
    this.#network = parts.network;
    this.guest = parts.guest;
    this.pod = parts.pod;
    this.#resources = parts.resources;
    this.#log = parts.log;
    this.#leastGraceMs = parts.leastGraceMs;
  }

  /** Makes a sandbox and its first container. A failure at any step undoes all before it. */
  static async create(steps: CreateSteps, log: Logger): Promise<NewSandbox> {
    await using undo = new AsyncDisposableStack();
    undo.use(await steps.makeRuntimeDirectory());
    const storage = undo.use(await steps.prepareStorage());
    const writable = undo.use(await steps.makeWritableLayer());
    const console = undo.use(await steps.openConsoleLog());
    const network = undo.use(await steps.prepareNetwork());
    const booting = begin(() => steps.bootVm({ console, network, storage, writable }));
    // Encoded while the helpers start. The step that sends it reports a failure.
    const bundle = begin(() => steps.encodeBundle(network));
    bundle.catch(() => {});
    const vm = undo.use(await booting);
    const guest = undo.use(await steps.connectGuest(vm));
    await steps.sendCheckpoint(guest);
    // Not among the sandbox's resources: the container owns its io, and output outlives a lost VM.
    await using ofContainer = new AsyncDisposableStack();
    const { io, guestPid } = await createInGuest(steps, guest, network, bundle);
    ofContainer.use(io);
    const { size, leastGraceMs } = steps;
    const { pid: hostPid } = vm.processes[0]!;
    const pod = steps.podOf({ hostPid, guestPid, network: (await bundle).network });
    ofContainer.move();
    const resources = undo.move();
    const sandbox = new Sandbox({ vm, network, guest, pod, resources, log, leastGraceMs });
    return { sandbox, io, size };
  }

  /** The host process that stands for the sandbox: QEMU's. */
  get pid(): number {
    return this.#vm.processes[0]!.pid;
  }

  /** Holds back memory that the guest does not need yet; null: the guest has all. */
  get balloon(): Balloon | null {
    return this.#vm.balloon;
  }

  /** Reports to `listener` and keeps the guest's clock, until the sandbox is ended on purpose. */
  watch(listener: SandboxListener): void {
    const clock = (ask: bigint) => this.guest.adjustClock(ask);
    void keepClock(clock, this.#ending.signal, (message) => this.#log.debug(message));
    const lost = this.#lost = (reason: string) => {
      if (this.#ending.signal.aborted) return;
      this.#ending.abort();
      listener.onLost(reason);
    };
    this.#vm.exited.then(({ message }) => lost(message), (error: Error) => lost(error.message));
    // If it is the VM that ends, which aborts the delay, then why it does is the better reason.
    const guestLost = (reason: string) =>
      void delay(VM_END_SHOWS_MS, this.#ending.signal).then(() => lost(reason));
    this.guest.closed.then(() => guestLost("the guest no longer answers"));
    (async () => {
      const { balloon } = this;
      using wishes = new MemoryWishes((mib) => balloon?.want(mib));
      for await (const event of this.guest.events(this.#ending.signal)) {
        if ("exit" in event) listener.onExit(event);
        else if ("wantedMib" in event) wishes.take(event.wantedMib);
        else listener.onOom(event.containerId);
      }
      // Without events no exit of a process would be seen.
      guestLost("the guest ended its events");
    })().catch((error: Error) => guestLost(`the guest's events broke off: ${error.message}`));
  }

  /** Pings the guest from now on. Reports a loss when it has answered nothing for `timeoutMs`. */
  async watchAnswers(timeoutMs: number): Promise<void> {
    const options = { timeoutMs, signal: this.#ending.signal };
    const isSilent = await untilSilent((signal) => this.guest.ping(signal), options);
    if (isSilent) this.#lost(`guest has not answered for ${timeoutMs / 1000} s`);
  }

  /**
   * Ends the VM. Asks the guest first, and kills QEMU when the guest has answered or `graceMs` have
   * passed. The answer means that everything in the guest is on disk. It may take longer when the
   * disk outlives the VM. Releases all resources, even when some of that fails.
   */
  async end(graceMs: number): Promise<void> {
    this.#ending.abort();
    // Plugins run beside the guest's shutdown. The stack below reports their failure, once.
    this.#network[Symbol.asyncDispose]().then(undefined, () => {});
    try {
      await this.guest.shutdown(Math.max(graceMs, this.#leastGraceMs));
    } catch (error) {
      this.#log.debug(`the guest did not acknowledge its shutdown: ${(error as Error).message}`);
    }
    await this.#release();
  }

  /** Ends the VM at once, without asking the guest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#release();
  }

  /** Resolves when all resources are released, and fails as that did, for each caller. */
  #release(): Promise<void> {
    return this.#released ??= this.#resources.disposeAsync();
  }
}

/**
 * Asks the guest for everything that a container needs, all at once: round trips are the cost. The
 * guest takes the calls in this order, and streams wait in it for their container. The first call
 * that fails ends the others.
 */
async function createInGuest(
  steps: CreateSteps,
  guest: GuestConnection,
  network: SandboxNetwork,
  bundle: Promise<Bundle>,
): Promise<{ readonly io: ProcessIo; readonly guestPid: number }> {
  const failed = new AbortController();
  const { signal } = failed;
  const configured = begin(() => steps.configureGuest(guest, signal));
  const connected = begin(() => steps.configureNetwork(guest, network, signal));
  const created = begin(() => steps.createContainer(guest, bundle, signal));
  const opened = begin(() => steps.openIo(guest, bundle, signal));
  const io = await ioOf(opened, [created, connected, configured], failed);
  return { io, guestPid: await created };
}
