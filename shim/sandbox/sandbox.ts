import type { SandboxNetwork } from "../../net/mod.ts";
import type { Balloon, Vm } from "../../qemu/mod.ts";
import type { CreateSteps } from "./create_steps.ts";
import { keepClock } from "./guest_clock.ts";
import type { GuestConnection, GuestExit } from "../guest_client/guest_connection.ts";
import { begin, ioOf } from "../guest_client/guest_io.ts";
import type { Logger } from "../base/log.ts";
import type { Pod } from "./pod.ts";
import type { ProcessIo } from "../stdio/process_io.ts";

/** What a sandbox tells its owner. */
export interface SandboxListener {
  /** A process in the guest has ended, says the guest. */
  onExit(exit: GuestExit): void;
  /** The container's memory was at its limit and one of its processes was killed, says the guest. */
  onOom(containerId: string): void;
  /** The VM is gone, or no longer answers; every process in it is dead. */
  onLost(reason: string): void;
}

/** What a sandbox is made of. */
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
 * A VM with its helpers, its share of the host and the connection into it. Containers live in it
 * and are kept apart from it: it owns none of them.
 */
export class Sandbox implements AsyncDisposable {
  readonly guest: GuestConnection;
  /** What it has for containers that come later; null: it is one container's. */
  readonly pod: Pod | null;
  readonly #vm: Vm;
  readonly #network: AsyncDisposable;
  readonly #resources: AsyncDisposableStack;
  readonly #log: Logger;
  readonly #leastGraceMs: number;
  readonly #ending = new AbortController();

  private constructor(parts: SandboxParts) {
    this.#vm = parts.vm;
    this.#network = parts.network;
    this.guest = parts.guest;
    this.pod = parts.pod;
    this.#resources = parts.resources;
    this.#log = parts.log;
    this.#leastGraceMs = parts.leastGraceMs;
  }

  /**
   * Makes a sandbox and the first container in it. A failure at any step undoes all before it.
   * @returns both, and the container's stdio.
   */
  static async create(
    steps: CreateSteps,
    log: Logger,
  ): Promise<{ sandbox: Sandbox; io: ProcessIo }> {
    await using undo = new AsyncDisposableStack();
    undo.use(await steps.makeRuntimeFolder());
    undo.use(await steps.prepareStorage());
    undo.use(await steps.makeWritableLayer());
    const console = undo.use(await steps.openConsoleLog());
    const network = undo.use(await steps.prepareNetwork());
    const vm = undo.use(await steps.bootVm(console, network));
    const guest = undo.use(await steps.connectGuest(vm));
    await steps.sendCheckpoint(guest);
    // The last step that can fail: the container owns it, since its output outlives a lost VM.
    const io = await createInGuest(steps, guest, network);
    const { leastGraceMs, pod } = steps;
    const resources = undo.move();
    return { sandbox: new Sandbox({ vm, network, guest, pod, resources, log, leastGraceMs }), io };
  }

  /** The host process that stands for the sandbox: QEMU's. */
  get pid(): number {
    return this.#vm.processes[0]!.pid;
  }

  /** What holds back memory that the guest does not need yet; null: it has all. */
  get balloon(): Balloon | null {
    return this.#vm.balloon;
  }

  /**
   * Begins to report to `listener`, and to keep the guest's clock, until the sandbox is ended on
   * purpose.
   */
  watch(listener: SandboxListener): void {
    const clock = (ask: bigint) => this.guest.adjustClock(ask);
    void keepClock(clock, this.#ending.signal, (message) => this.#log.debug(message));
    const lost = (reason: string) => {
      if (this.#ending.signal.aborted) return;
      this.#ending.abort();
      listener.onLost(reason);
    };
    this.#vm.exited.then(({ message }) => lost(message), (error: Error) => lost(error.message));
    this.guest.closed.then(() => lost("the guest no longer answers"));
    (async () => {
      for await (const event of this.guest.events(this.#ending.signal)) {
        if ("exit" in event) listener.onExit(event);
        else if ("wantedMib" in event) this.#vm.balloon?.want(event.wantedMib);
        else listener.onOom(event.containerId);
      }
      // Without them no end of a process would be seen any more.
      lost("the guest ended its events");
    })().catch((error: Error) => lost(`the guest's events broke off: ${error.message}`));
  }

  /**
   * Ends the VM. The guest is asked first, and has answered, or `graceMs` have passed, when QEMU is
   * killed: what it answers is that nothing is left in it that is not on disk. It may take longer when
   * the disk outlives the VM. All resources are released, even when some of it fails.
   */
  async end(graceMs: number): Promise<void> {
    this.#ending.abort();
    // Plugins take as long as the guest does. What fails of it is told below, once.
    this.#network[Symbol.asyncDispose]().then(undefined, () => {});
    try {
      await this.guest.shutdown(Math.max(graceMs, this.#leastGraceMs));
    } catch (error) {
      this.#log.debug(`the guest did not acknowledge its shutdown: ${(error as Error).message}`);
    }
    await this.#resources.disposeAsync();
  }

  /** Ends the VM at once; the guest is not asked. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#resources.disposeAsync();
  }
}

/**
 * What the guest has to do for a container, asked for in one breath: round trips are what it costs.
 * The guest takes the calls in this order, and streams wait in it for the container they are of.
 * The first that fails ends the others.
 */
async function createInGuest(
  steps: CreateSteps,
  guest: GuestConnection,
  network: SandboxNetwork,
): Promise<ProcessIo> {
  const failed = new AbortController();
  const { signal } = failed;
  const configured = begin(() => steps.configureGuest(guest, signal));
  const connected = begin(() => steps.configureNetwork(guest, network, signal));
  const created = begin(() => steps.createContainer(guest, signal));
  const opened = begin(() => steps.openIo(guest, signal));
  return await ioOf(opened, [created, connected, configured], failed);
}
