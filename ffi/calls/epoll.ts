import { encodeEpollEvent, EPOLL_EVENT } from "../layouts.ts";
import { epoll as libc } from "../libc/epoll.ts";
import { checked } from "../libc/errno.ts";
import type { Fd, System } from "../system.ts";

/** EPOLL_CTL_* */
const CONTROL = { add: 1, remove: 2, modify: 3 } as const;
const EPOLL_CLOEXEC = 0o2000000;
const EFD_CLOEXEC = 0o2000000, EFD_NONBLOCK = 0o4000;
const FOREVER = -1;

/** Readiness calls of {@link System}. */
export const epollCalls = {
  epollCreate() {
    return checked("epoll_create1", () => libc().epoll_create1(EPOLL_CLOEXEC)) as Fd;
  },
  epollControl(epoll, operation, fd, events = 0, token = 0n) {
    const event = encodeEpollEvent(events, token);
    checked("epoll_ctl", () => libc().epoll_ctl(epoll, CONTROL[operation], fd, event));
  },
  eventfd() {
    return checked("eventfd", () => libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) as Fd;
  },
} satisfies Partial<System>;

/**
 * epoll_wait(2) on this thread, for up to `timeoutMs` milliseconds. Returns the number of events
 * that it wrote, 0 if none came in time.
 *
 * @throws {SystemError} if the epoll descriptor is invalid.
 */
export function waitInEpoll(
  epoll: Fd,
  events: Uint8Array<ArrayBuffer>,
  timeoutMs: number,
): number {
  const room = Math.floor(events.length / EPOLL_EVENT.size);
  return checked("epoll_wait", () => libc().epoll_wait(epoll, events, room, timeoutMs));
}

/** Buffers that a thread of Deno's pool writes to, kept alive here because Deno does not do it. */
const lent = new Set<Uint8Array<ArrayBuffer>>();

/**
 * epoll_wait(2) without a timeout, on a thread of Deno's pool. Returns the number of events that it
 * wrote, 0 if it was interrupted. Park one at a time: async file I/O shares the same 32 threads.
 *
 * @throws {SystemError} if the epoll descriptor is invalid.
 */
export async function parkInEpoll(epoll: Fd, events: Uint8Array<ArrayBuffer>): Promise<number> {
  const room = Math.floor(events.length / EPOLL_EVENT.size);
  lent.add(events);
  try {
    const count = await libc().epoll_wait_parked(epoll, events, room, FOREVER);
    if (count !== -1) return count;
  } finally {
    lent.delete(events);
  }
  // The errno stayed in the other thread. Call again on this one, without waiting.
  return waitInEpoll(epoll, events, 0);
}
