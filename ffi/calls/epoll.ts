import { encodeEpollEvent, EPOLL_EVENT } from "../layouts.ts";
import { epoll as libc } from "../libc/epoll.ts";
import { checked } from "../libc/errno.ts";
import type { Fd, System } from "../system.ts";

/** EPOLL_CTL_* */
const CONTROL = { add: 1, remove: 2, modify: 3 } as const;
const EPOLL_CLOEXEC = 0o2000000;
const EFD_CLOEXEC = 0o2000000, EFD_NONBLOCK = 0o4000;
const FOREVER = -1;

/** The part of {@link System} that concerns readiness. */
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
 * epoll_wait(2) in this thread, for `timeoutMs`: how many events it wrote, 0 when none came in time.
 *
 * @throws {SystemError} when the epoll descriptor is no good.
 */
export function waitInEpoll(
  epoll: Fd,
  events: Uint8Array<ArrayBuffer>,
  timeoutMs: number,
): number {
  const room = Math.floor(events.length / EPOLL_EVENT.size);
  return checked("epoll_wait", () => libc().epoll_wait(epoll, events, room, timeoutMs));
}

/** Buffers that a thread of Deno's pool writes to. Deno itself does not keep them alive. */
const lent = new Set<Uint8Array<ArrayBuffer>>();

/**
 * epoll_wait(2) without a time limit, on a thread of Deno's pool: how many events it wrote, 0 when
 * it was interrupted. One at a time: async file input and output live in the same 32 threads.
 *
 * @throws {SystemError} when the epoll descriptor is no good.
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
  // errno stayed in the other thread. Ask again in this one, without waiting.
  return waitInEpoll(epoll, events, 0);
}
