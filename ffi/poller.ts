import { delay } from "../base/mod.ts";
import { closeObservers } from "./calls/descriptors.ts";
import { parkInEpoll, waitInEpoll } from "./calls/epoll.ts";
import { decodeEpollEvent, EPOLL_EVENT, structure } from "./layouts.ts";
import { system as realSystem } from "./real_system.ts";
import type { Fd, System } from "./system.ts";
import { isSystemError, SystemError } from "./system_error.ts";

/** linux/eventpoll.h */
const EPOLLIN = 1, EPOLLPRI = 2, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 16, EPOLLONESHOT = 1 << 30;
/** An error or a hang-up ends any wait: the system call that follows reports it. */
const READABLE = EPOLLIN | EPOLLERR | EPOLLHUP;
const WRITABLE = EPOLLOUT | EPOLLERR | EPOLLHUP;
const URGENT = EPOLLPRI | EPOLLERR | EPOLLHUP;
/** Events to watch a descriptor for. */
const WATCHED = { readable: EPOLLIN, writable: EPOLLOUT, urgent: EPOLLPRI } as const;
/** Events that end a wait. */
const ENDS = { readable: READABLE, writable: WRITABLE, urgent: URGENT } as const;
/** Events taken per turn; further ones wait for the next. */
const EVENTS_MAX = 128;
/**
 * A call that moved this many bytes is part of a bulk transfer, which will go on soon: see `soon`
 * of {@linkcode Poller.wait}.
 */
export const MANY_BYTES = 16_384;

/** How long a wait that will end soon may block the event loop, in milliseconds. */
const SOON_MS = 1;
/** Such waits in a row before the event loop turns. */
const WAITS_WITHOUT_TURN_MAX = 16;
/** Token of the eventfd. No watch has it, because generations start at 1. */
const WAKE_TOKEN = 0n;

/**
 * Waits for descriptors to become readable or writable: pipes, FIFOs, sockets, eventfds, pidfds.
 * Files that epoll(7) does not support, such as regular files, are always ready.
 *
 * One epoll_wait(2) is parked in Deno's thread pool for all of them, and only while there are
 * waits, so that an idle poller holds neither a thread nor the event loop. Descriptors are
 * registered with EPOLLONESHOT and armed again by the next wait.
 *
 * A wait may end although the descriptor is not ready: try the system call first, wait on EAGAIN,
 * try again.
 *
 * Going to the thread and back takes a hundred times as long as the call (milliseconds under TCG).
 * A caller that moves many bytes passes `soon`: before parking, epoll_wait is then called on the
 * main thread for up to a millisecond, and any event ends it at once.
 */
export class Poller implements Disposable {
  readonly #system: System;
  readonly #watches = new Map<Fd, Watch>();
  readonly #events = structure(EVENTS_MAX * EPOLL_EVENT.size);
  readonly #onClose = (fd: Fd): void => this.forget(fd);
  #instance: Instance | undefined;
  #generations = 0;
  #waiting = 0;
  #parked = false;
  #soon = false;
  #waitsWithoutTurn = 0;
  #disposed = false;
  /** Run when the parked call has returned. */
  #afterParking: (() => void)[] = [];

  /** Opens nothing before the first wait. */
  constructor(system: System = realSystem) {
    this.#system = system;
  }

  /**
   * Resolves when `fd` is ready, or has failed or hung up. A descriptor may have any number of
   * concurrent waits.
   *
   * @param soon whether the peer is about to make it ready, so that blocking for a moment pays.
   * @throws {SystemError} EBADF if the descriptor is not open, or is closed during the wait.
   * @throws the reason of `signal` if it aborts.
   */
  wait(fd: Fd, event: Readiness, signal?: AbortSignal, soon: boolean = false): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#disposed) return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const watch = this.#watch(fd);
    const abort = (): void => this.#abandon(watch, waiter, signal!.reason);
    const detach = (): void => signal?.removeEventListener("abort", abort);
    const waiter: Waiter = { event, resolve, reject, detach };
    watch.waiters.add(waiter);
    try {
      this.#arm(fd, watch);
    } catch (error) {
      watch.waiters.delete(waiter);
      if (!watch.registered) this.#watches.delete(fd);
      return isSystemError(error, "EPERM") ? delay(0) : Promise.reject(error);
    }
    signal?.addEventListener("abort", abort);
    this.#waiting++;
    this.#soon ||= soon;
    void this.#park();
    return promise;
  }

  /**
   * Fails the waits for `fd` with EBADF and drops its state. Call it before closing the descriptor;
   * `close` of the real System does so.
   */
  forget(fd: Fd): void {
    const watch = this.#watches.get(fd);
    if (watch === undefined) return;
    this.#watches.delete(fd);
    if (watch.registered) {
      try {
        this.#system.epollControl(this.#instance!.epoll, "remove", fd);
      } catch {
        // It is already closed.
      }
    }
    for (const waiter of [...watch.waiters]) this.#abandon(watch, waiter, closed());
  }

  /**
   * Resolves when there are no waits and the parked call has returned. For tests: after a
   * descriptor with a wait was closed, the call may return a moment later.
   */
  async idle(): Promise<void> {
    while (this.#parked && this.#waiting === 0) {
      await new Promise<void>((resolve) => this.#whenBack(resolve));
    }
  }

  /** Fails all waits with EBADF and closes the poller's own descriptors. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const fd of [...this.#watches.keys()]) this.forget(fd);
    closeObservers.delete(this.#onClose);
    const instance = this.#instance;
    if (instance === undefined) return;
    this.#whenBack(() => {
      this.#system.close(instance.wake);
      this.#system.close(instance.epoll);
    });
  }

  #watch(fd: Fd): Watch {
    const known = this.#watches.get(fd);
    if (known !== undefined) return known;
    const watch = {
      generation: ++this.#generations,
      registered: false,
      waiters: new Set<Waiter>(),
    };
    this.#watches.set(fd, watch);
    return watch;
  }

  /** Registers the events of all waits for `fd`, to be reported once. */
  #arm(fd: Fd, watch: Watch): void {
    const { epoll } = this.#instance ??= this.#open();
    let events = EPOLLONESHOT;
    for (const { event } of watch.waiters) events |= WATCHED[event];
    const token = BigInt(watch.generation) << 32n | BigInt(fd);
    const [first, second] = watch.registered
      ? ["modify", "add"] as const
      : ["add", "modify"] as const;
    try {
      this.#system.epollControl(epoll, first, fd, events, token);
    } catch (error) {
      // Closed, or closed and reopened, without `forget`.
      if (!isSystemError(error, "ENOENT", "EEXIST")) throw error;
      this.#system.epollControl(epoll, second, fd, events, token);
    }
    watch.registered = true;
  }

  #open(): Instance {
    const system = this.#system;
    using undo = new DisposableStack();
    const epoll = system.epollCreate();
    undo.defer(() => system.close(epoll));
    const wake = system.eventfd();
    undo.defer(() => system.close(wake));
    system.epollControl(epoll, "add", wake, EPOLLIN, WAKE_TOKEN);
    undo.move();
    closeObservers.add(this.#onClose);
    return { epoll, wake };
  }

  /** Waits in the kernel while there are waits here. */
  async #park(): Promise<void> {
    if (this.#parked) return;
    this.#parked = true;
    while (this.#waiting > 0) {
      try {
        this.#deliver(await this.#next());
      } catch (error) {
        this.#failAll(error);
      }
      for (const run of this.#afterParking.splice(0)) run();
    }
    this.#parked = false;
  }

  /** Returns the number of events, at least one unless the call was interrupted. */
  async #next(): Promise<number> {
    const { epoll } = this.#instance!;
    if (this.#soon && this.#waitsWithoutTurn++ < WAITS_WITHOUT_TURN_MAX) {
      this.#soon = false;
      await Promise.resolve(); // lets waiters resolved by the same event wait again first
      const count = waitInEpoll(epoll, this.#events, SOON_MS);
      if (count > 0) return count;
    }
    this.#soon = false;
    this.#waitsWithoutTurn = 0;
    return await parkInEpoll(epoll, this.#events);
  }

  #deliver(count: number): void {
    for (let index = 0; index < count; index++) {
      const { events, token } = decodeEpollEvent(this.#events, index);
      if (token === WAKE_TOKEN) {
        this.#system.read(this.#instance!.wake, structure(8));
        continue;
      }
      const fd = Number(token & 0xffffffffn) as Fd;
      const watch = this.#watches.get(fd);
      if (watch?.generation === Number(token >> 32n)) this.#signal(fd, watch, events);
    }
  }

  #signal(fd: Fd, watch: Watch, events: number): void {
    for (const waiter of [...watch.waiters]) {
      if (events & ENDS[waiter.event]) {
        this.#remove(watch, waiter);
        waiter.resolve();
      }
    }
    if (watch.waiters.size === 0) return;
    try {
      this.#arm(fd, watch);
    } catch (error) {
      for (const waiter of [...watch.waiters]) this.#abandon(watch, waiter, error);
    }
  }

  #failAll(error: unknown): void {
    for (const watch of this.#watches.values()) {
      for (const waiter of [...watch.waiters]) this.#abandon(watch, waiter, error);
    }
  }

  /** Rejects once the parked call has returned, so that no call is pending after the rejection. */
  #abandon(watch: Watch, waiter: Waiter, reason: unknown): void {
    this.#remove(watch, waiter);
    this.#whenBack(() => waiter.reject(reason));
  }

  #remove(watch: Watch, waiter: Waiter): void {
    watch.waiters.delete(waiter);
    waiter.detach();
    this.#waiting--;
  }

  #whenBack(run: () => void): void {
    if (!this.#parked) return run();
    this.#afterParking.push(run);
    this.#system.write(this.#instance!.wake, new Uint8Array(new BigUint64Array([1n]).buffer));
  }
}

/** The poller of this process. Starts with the first wait. */
export const poller: Poller = new Poller();

/**
 * Readiness to wait for. "urgent" on a pollable file of cgroupfs or sysfs means that it has changed
 * since this descriptor last read it.
 */
export type Readiness = "readable" | "writable" | "urgent";

interface Waiter {
  readonly event: Readiness;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  /** Removes the listener from the AbortSignal. */
  readonly detach: () => void;
}

/** State of one descriptor. Dropped when it is closed, because its number is reused. */
interface Watch {
  /** Distinguishes its events from those of an earlier descriptor with the same number. */
  readonly generation: number;
  /** Whether it is in the kernel's epoll set. */
  registered: boolean;
  readonly waiters: Set<Waiter>;
}

/** Descriptors of the poller itself. */
interface Instance {
  readonly epoll: Fd;
  readonly wake: Fd;
}

function closed(): SystemError {
  return new SystemError("epoll_wait", "EBADF");
}
