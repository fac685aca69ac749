import assert from "node:assert/strict";
import { O } from "../constants.ts";
import { system } from "../real_system.ts";
import type { Fd } from "../system.ts";
import { isSystemError } from "../system_error.ts";

/** The flags line of /proc/self/fdinfo: open flags, with O_CLOEXEC for FD_CLOEXEC. */
function flagsOf(fd: Fd): number {
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  return parseInt(/^flags:\s*(\d+)/m.exec(info)![1]!, 8);
}

async function inDirectory(run: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const throwsWith = (code: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code));

Deno.test("nextData finds the data between the holes of an unnamed file", () =>
  inDirectory((directory) => {
    const fd = system.open(directory, O.TMPFILE | O.RDWR, 0o600);
    assert.deepEqual([...Deno.readDirSync(directory)], []);
    assert.equal(system.nextData(fd, 0), null);
    using file = Deno.openSync(`/proc/self/fd/${fd}`, { write: true });
    const [block, size] = [1 << 16, 1 << 24];
    file.truncateSync(size);
    assert.equal(system.nextData(fd, 0), null);
    for (const at of [block, 8 * block]) {
      file.seekSync(at, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(block).fill(7));
    }
    const [first, second] = [{ start: block, end: 2 * block }, {
      start: 8 * block,
      end: 9 * block,
    }];
    assert.deepEqual(system.nextData(fd, 0), first);
    assert.deepEqual(system.nextData(fd, block + 5), { ...first, start: block + 5 });
    assert.deepEqual(system.nextData(fd, first.end), second);
    assert.equal(system.nextData(fd, second.end), null);
    assert.equal(system.nextData(fd, size + 1), null);
    system.close(fd);
    throwsWith("EBADF", () => system.nextData(fd, 0));
  }));

Deno.test("a file is created, written and read", () =>
  inDirectory((directory) => {
    const path = `${directory}/file`;
    const fd = system.open(path, O.RDWR | O.CREAT | O.EXCL, 0o600);
    assert.equal(system.write(fd, new TextEncoder().encode("abc")), 3);
    const again = system.open(path, O.RDONLY);
    const into = new Uint8Array(8);
    assert.equal(system.read(again, into), 3);
    assert.equal(system.read(again, into), 0);
    assert.equal(new TextDecoder().decode(into.subarray(0, 3)), "abc");
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
    assert.equal(system.fileType(fd), "file");
    throwsWith("EBADF", () => system.write(again, new Uint8Array(1)));
    throwsWith("EEXIST", () => system.open(path, O.RDWR | O.CREAT | O.EXCL));
    system.close(fd);
    system.close(again);
    throwsWith("EBADF", () => system.close(fd));
  }));

Deno.test("read and write touch only their part of a buffer", () => {
  const { read, write } = system.pipe();
  const buffer = Uint8Array.from([1, 2, 3, 4]);
  assert.equal(system.write(write, buffer.subarray(1, 3)), 2);
  const into = new Uint8Array(4);
  assert.equal(system.read(read, into.subarray(2)), 2);
  assert.deepEqual([...into], [0, 0, 2, 3]);
  system.close(read);
  system.close(write);
});

Deno.test("errors name the path", () => {
  assert.throws(() => system.open("/no/such", O.RDONLY), { path: "/no/such", code: "ENOENT" });
});

Deno.test("every descriptor is close-on-exec, and flags can be changed", () => {
  const pairs = (["none", "both", "read", "write"] as const).map((nonblock) => {
    const { read, write } = system.pipe({ nonblock });
    const nonblocking = [read, write].map((fd) => (flagsOf(fd) & O.NONBLOCK) !== 0);
    const both = nonblock === "both";
    assert.deepEqual(nonblocking, [both || nonblock === "read", both || nonblock === "write"]);
    return { read, write };
  });
  const [{ read, write }] = pairs as [{ read: Fd; write: Fd }];
  const others = [
    system.open("/", O.RDONLY),
    system.memfd("x"),
    system.duplicate(read),
    system.eventfd(),
    system.epollCreate(),
    ...system.socketPair(),
  ];
  for (const fd of [...others, read, write]) assert(flagsOf(fd) & O.CLOEXEC, `descriptor ${fd}`);
  system.setCloexec(read, false);
  assert(!(flagsOf(read) & O.CLOEXEC));
  system.setCloexec(read, true);
  assert(flagsOf(read) & O.CLOEXEC);
  system.setNonblock(write, true);
  assert(flagsOf(write) & O.NONBLOCK);
  system.setNonblock(write, false);
  assert(!(flagsOf(write) & O.NONBLOCK));
  for (const fd of [...others, ...pairs.flatMap(({ read, write }) => [read, write])]) {
    system.close(fd);
  }
});

Deno.test("fileType distinguishes file types", () =>
  inDirectory((directory) => {
    system.mkfifo(`${directory}/fifo`, 0o600);
    throwsWith("EEXIST", () => system.mkfifo(`${directory}/fifo`, 0o600));
    const [socket, peer] = system.socketPair();
    const expected = [
      [system.open(`${directory}/fifo`, O.RDWR), "fifo"],
      [system.open(directory, O.RDONLY), "directory"],
      [system.open("/dev/null", O.RDWR), "character"],
      [system.memfd("m"), "file"],
      [socket, "socket"],
      [peer, "socket"],
      [system.eventfd(), "other"],
    ] as const;
    for (const [fd, type] of expected) {
      assert.equal(system.fileType(fd), type);
      system.close(fd);
    }
  }));

Deno.test("a lock has one holder until its descriptor is closed", () =>
  inDirectory((directory) => {
    const path = `${directory}/lock`;
    const first = system.open(path, O.RDWR | O.CREAT);
    const second = system.open(path, O.RDWR);
    assert.equal(system.tryLock(first), true);
    assert.equal(system.tryLock(second), false);
    system.close(first);
    system.lock(second);
    system.close(second);
    throwsWith("EBADF", () => system.tryLock(second));
  }));

Deno.test("a duplicate has its own number and the same file", () => {
  const fd = system.memfd("shared");
  const copy = system.duplicate(fd, 700);
  assert(copy >= 700);
  system.write(fd, new Uint8Array(3));
  assert.equal(Deno.statSync(`/proc/self/fd/${copy}`).size, 3);
  system.close(fd);
  system.close(copy);
});

Deno.test("pipeState returns the unread bytes and whether there is a reader", () => {
  const { read, write } = system.pipe({ nonblock: "both" });
  assert.deepEqual(system.pipeState(write), { unreadBytes: 0, hasReader: true });
  system.write(write, new Uint8Array(5_000));
  assert.deepEqual(system.pipeState(write), { unreadBytes: 5_000, hasReader: true });
  system.read(read, new Uint8Array(4_000));
  assert.deepEqual(system.pipeState(write), { unreadBytes: 1_000, hasReader: true });
  system.close(read);
  assert.equal(system.pipeState(write).hasReader, false);
  system.close(write);
  throwsWith("EBADF", () => system.pipeState(write));
});
