import assert from "node:assert/strict";
import { delay } from "../base/mod.ts";
import { Poller } from "./poller.ts";
import { system } from "./real_system.ts";
import { recording } from "./recording.ts";
import type { Fd } from "./system.ts";
import { isSystemError } from "./system_error.ts";

const ONE = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
const openFds = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
const turn = (): Promise<void> => delay(0);
const rejectsWith = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => isSystemError(error, code));

/** Returns whether a promise is settled after a few turns of the event loop. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const done = (): void => void (settled = true);
  promise.then(done, done);
  for (let i = 0; i < 5; i++) await turn();
  return settled;
}

Deno.test("a pipe becomes readable when it is written to", async () => {
  using poller = new Poller();
  const { read, write } = system.pipe({ nonblock: "both" });
  const ready = poller.wait(read, "readable");
  assert.equal(await isSettled(ready), false);
  system.write(write, ONE);
  await ready;
  await poller.wait(read, "readable");
  system.close(read);
  system.close(write);
});

Deno.test("a hang-up wakes readers, and a broken pipe writers", async () => {
  using poller = new Poller();
  const first = system.pipe({ nonblock: "both" });
  const readable = poller.wait(first.read, "readable");
  system.close(first.write);
  await readable;
  system.close(first.read);

  const second = system.pipe({ nonblock: "both" });
  while (system.write(second.write, new Uint8Array(65536)) !== null); // full
  const writable = poller.wait(second.write, "writable");
  system.close(second.read);
  await writable;
  system.close(second.write);
});

Deno.test("a reader and a writer of one descriptor each wait for their own event", async () => {
  using poller = new Poller();
  const [a, b] = system.socketPair();
  const readable = poller.wait(a, "readable");
  await poller.wait(a, "writable");
  assert.equal(await isSettled(readable), false);
  const second = poller.wait(a, "readable");
  await poller.wait(a, "writable");
  system.write(b, ONE);
  await Promise.all([readable, second]);
  system.close(a);
  system.close(b);
});

Deno.test("an eventfd can be waited for", async () => {
  using poller = new Poller();
  const event = system.eventfd();
  const ready = poller.wait(event, "readable");
  system.write(event, ONE);
  await ready;
  system.close(event);
});

Deno.test("waits with soon do not starve the event loop", async () => {
  using poller = new Poller();
  const { read, write } = system.pipe({ nonblock: "both" });
  const none = poller.wait(read, "readable", undefined, true);
  assert.equal(await isSettled(none), false);
  system.write(write, ONE);
  await none;
  // Ready each time, so without a limit no timer would run.
  let waits = 0, over = false;
  setTimeout(() => over = true, 0);
  while (!over) {
    await poller.wait(read, "readable", undefined, true);
    waits++;
  }
  assert.ok(waits > 1 && waits < 10_000, String(waits));
  system.close(read);
  system.close(write);
  await poller.idle();
});

Deno.test("a file that epoll does not support is ready at once", async () => {
  using poller = new Poller();
  const file = system.memfd("file");
  await Promise.all([poller.wait(file, "readable"), poller.wait(file, "writable")]);
  system.close(file);
});

Deno.test("an abort ends one wait and not the other", async () => {
  using poller = new Poller();
  const { read, write } = system.pipe({ nonblock: "both" });
  const controller = new AbortController();
  const aborted = poller.wait(read, "readable", controller.signal);
  const other = poller.wait(read, "readable");
  controller.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  await assert.rejects(poller.wait(read, "readable", controller.signal), /enough/);
  system.write(write, ONE);
  await other;
  system.close(read);
  system.close(write);
});

Deno.test("close and forget reject waits and leave nothing pending", async () => {
  using poller = new Poller();
  const first = system.pipe({ nonblock: "both" });
  const closed = poller.wait(first.read, "readable");
  system.close(first.read);
  await rejectsWith(closed, "EBADF");

  const second = system.pipe({ nonblock: "both" });
  const forgotten = poller.wait(second.read, "readable");
  poller.forget(second.read);
  await rejectsWith(forgotten, "EBADF");
  poller.forget(second.read);

  for (const fd of [first.write, second.read, second.write]) system.close(fd);
  await rejectsWith(poller.wait(second.read, "readable"), "EBADF");
});

Deno.test("a reused number is a new descriptor", async () => {
  using poller = new Poller();
  const old = system.pipe({ nonblock: "both" });
  const copy = system.duplicate(old.read); // keeps the old pipe alive in the kernel
  const closed = poller.wait(old.read, "readable");
  system.close(old.read);
  const fresh = system.pipe({ nonblock: "both" });
  assert.equal(fresh.read, old.read, "the lowest free number is taken");
  const waiting = poller.wait(fresh.read, "readable");
  await rejectsWith(closed, "EBADF");
  system.write(old.write, ONE);
  assert.equal(await isSettled(waiting), false);
  system.write(fresh.write, ONE);
  await waiting;
  for (const fd of [copy, old.write, fresh.read, fresh.write]) system.close(fd);
});

Deno.test("a number closed without forget can be reused", async () => {
  using poller = new Poller();
  const old = system.pipe({ nonblock: "both" });
  system.write(old.write, ONE);
  await poller.wait(old.read, "readable");
  closeUnseen(old.read);
  const fresh = system.pipe({ nonblock: "both" });
  assert.equal(fresh.read, old.read);
  const waiting = poller.wait(fresh.read, "readable");
  assert.equal(await isSettled(waiting), false);
  system.write(fresh.write, ONE);
  await waiting;
  for (const fd of [old.write, fresh.read, fresh.write]) system.close(fd);
});

/** Closes a descriptor without calling the observers. */
function closeUnseen(fd: Fd): void {
  const libc = Deno.dlopen("libc.so.6", { close: { parameters: ["i32"], result: "i32" } });
  libc.symbols.close(fd);
  libc.close();
}

Deno.test("dispose ends all waits and leaks no descriptor", async () => {
  const { read, write } = system.pipe({ nonblock: "both" });
  const before = openFds();
  const poller = new Poller();
  const waiting = poller.wait(read, "readable");
  poller[Symbol.dispose]();
  poller[Symbol.dispose]();
  await rejectsWith(waiting, "EBADF");
  await rejectsWith(poller.wait(read, "readable"), "EBADF");
  await turn();
  assert.equal(openFds(), before);
  system.close(read);
  system.close(write);
});

Deno.test("if any call fails, the wait rejects and nothing leaks", async () => {
  const { read, write } = system.pipe({ nonblock: "both" });
  system.write(write, ONE);
  const before = openFds();
  const seen: string[] = [];
  for (let failAt = 0;; failAt++) {
    const { double, calls } = recording(system, { failAt });
    const poller = new Poller(double);
    const [outcome] = await Promise.allSettled([poller.wait(read, "readable")]);
    if (outcome!.status === "fulfilled") {
      poller[Symbol.dispose]();
      assert.equal(openFds(), before);
      break;
    }
    assert(isSystemError(outcome!.reason, "EIO"));
    seen.push(calls[failAt]!.name);
    poller[Symbol.dispose]();
    assert.equal(openFds(), before, `after failing ${seen.at(-1)}`);
  }
  assert.deepEqual(seen, ["epollCreate", "eventfd", "epollControl", "epollControl"]);
  system.close(read);
  system.close(write);
});

Deno.test("the poller works again after an error of epoll_wait", async () => {
  let sabotage = true;
  const broken = {
    ...system,
    epollCreate(): Fd {
      // epoll_wait(2) on an eventfd fails with EINVAL.
      return sabotage ? system.eventfd() : system.epollCreate();
    },
    epollControl(...args: Parameters<typeof system.epollControl>): void {
      if (!sabotage) system.epollControl(...args);
    },
  };
  const { read, write } = system.pipe({ nonblock: "both" });
  using first = new Poller(broken);
  await rejectsWith(first.wait(read, "readable"), "EINVAL");
  sabotage = false;
  using second = new Poller(broken);
  system.write(write, ONE);
  await second.wait(read, "readable");
  system.close(read);
  system.close(write);
});

Deno.test("more descriptors than fit into one turn are all reported", async () => {
  using poller = new Poller();
  const pipes = Array.from({ length: 300 }, () => system.pipe({ nonblock: "both" }));
  const waits = pipes.map(({ read }) => poller.wait(read, "readable"));
  for (const { write } of pipes) system.write(write, ONE);
  await Promise.all(waits);
  for (const { read, write } of pipes) {
    system.close(read);
    system.close(write);
  }
});

Deno.test("a program without waits exits", async () => {
  const mod = new URL("./mod.ts", import.meta.url);
  const program = `
    import { poller, system } from ${JSON.stringify(mod.href)};
    const { read, write } = system.pipe({ nonblock: "both" });
    const waiting = poller.wait(read, "readable");
    setTimeout(() => system.write(write, new Uint8Array(1)), 1);
    await waiting;
    const controller = new AbortController();
    const aborted = poller.wait(write, "readable", controller.signal);
    controller.abort();
    await aborted.catch(() => {});
    console.log("end");
  `;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-lock", program],
    stdout: "piped",
  }).output();
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "end\n"]);
});

Deno.test("idle resolves when the parked call has returned", async () => {
  using poller = new Poller();
  await poller.idle(); // before any wait
  const { read, write } = system.pipe();
  poller.wait(read, "readable").catch(() => {});
  poller.forget(read);
  await poller.idle();
  system.close(read);
  system.close(write);
});
