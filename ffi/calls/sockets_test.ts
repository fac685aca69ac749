import assert from "node:assert/strict";
import { VMADDR } from "../constants.ts";
import { system } from "../real_system.ts";
import type { Fd } from "../system.ts";
import { isSystemError } from "../system_error.ts";

const throwsWith = (code: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code));

function closeAll(...fds: Fd[]): void {
  for (const fd of fds) system.close(fd);
}

async function inDirectory(run: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a unix socket listens with its mode and returns the peer's credentials", () =>
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const listener = system.listenUnix(path, { mode: 0o640 });
    assert.equal(Deno.lstatSync(path).mode! & 0o777, 0o640);
    assert.equal(system.accept(listener), null);
    const client = system.connectUnix(path);
    const server = system.accept(listener)!;
    const { pid, uid, gid } = system.peerCredentials(server);
    assert.deepEqual([pid, uid, gid], [Deno.pid, Deno.uid(), Deno.gid()]);
    assert.equal(system.read(server, new Uint8Array(1)), null);
    assert.equal(system.socketError(server), null);
    throwsWith("EADDRINUSE", () => system.listenUnix(path));
    assert(Deno.lstatSync(path).isSocket, "a socket in use is kept");
    closeAll(listener, client, server);
    throwsWith("ECONNREFUSED", () => system.connectUnix(path));
  }));

Deno.test("connecting to a full backlog fails with EAGAIN", () =>
  inDirectory((directory) => {
    const path = `${directory}/socket`;
    const listener = system.listenUnix(path, { backlog: 0 });
    const first = system.connectUnix(path);
    throwsWith("EAGAIN", () => system.connectUnix(path));
    closeAll(listener, first);
  }));

Deno.test("an invalid socket path fails with the path and leaks no descriptor", () => {
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const path = `/tmp/${"x".repeat(120)}`;
  assert.throws(() => system.listenUnix(path), { code: "ENAMETOOLONG", path });
  assert.throws(() => system.connectUnix(path), { code: "ENAMETOOLONG", path });
  throwsWith("ENOENT", () => system.connectUnix("/no/such/socket"));
  throwsWith("ENOENT", () => system.listenUnix("/no/such/socket"));
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
});

Deno.test("shutdown ends one direction", () => {
  const [a, b] = system.socketPair();
  system.shutdown(a, "write");
  assert.equal(system.read(b, new Uint8Array(1)), 0);
  assert.equal(system.write(b, new Uint8Array(2)), 2);
  assert.equal(system.read(a, new Uint8Array(4)), 2);
  system.shutdown(b, "both");
  throwsWith("EPIPE", () => system.write(b, new Uint8Array(1)));
  closeAll(a, b);
});

Deno.test("sendFds passes descriptors with bytes, and they arrive close-on-exec", () => {
  const [a, b] = system.socketPair();
  const { read, write } = system.pipe();
  const data = new TextEncoder().encode("two ends");
  assert.equal(system.sendFds(a, data, [read, write]), data.length);
  closeAll(read, write);
  const into = new Uint8Array(64);
  const { bytes, fds } = system.receiveFds(b, into);
  assert.deepEqual(into.subarray(0, bytes), data);
  assert.equal(fds.length, 2);
  const [farRead, farWrite] = fds as [Fd, Fd];
  assert.equal(system.write(farWrite, Uint8Array.from([42])), 1);
  const one = new Uint8Array(1);
  assert.equal(system.read(farRead, one), 1);
  assert.equal(one[0], 42);
  const flags = Deno.readTextFileSync(`/proc/self/fdinfo/${farRead}`);
  assert.match(flags, /flags:\s*02\d{6}/);
  closeAll(a, b, farRead, farWrite);
});

Deno.test("sendFds passes bytes without descriptors", () => {
  const [a, b] = system.socketPair();
  throwsWith("EAGAIN", () => system.receiveFds(b, new Uint8Array(1)));
  assert.equal(system.sendFds(a, new Uint8Array(5), []), 5);
  assert.deepEqual(system.receiveFds(b, new Uint8Array(9)), { bytes: 5, fds: [] });
  assert.equal(system.write(a, new Uint8Array(2)), 2);
  assert.deepEqual(system.receiveFds(b, new Uint8Array(9), 0), { bytes: 2, fds: [] });
  closeAll(a);
  assert.deepEqual(system.receiveFds(b, new Uint8Array(9)), { bytes: 0, fds: [] });
  closeAll(b);
});

Deno.test("receiveFds closes all descriptors if there are more than expected", () => {
  const [a, b] = system.socketPair();
  const { read, write } = system.pipe();
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  for (const max of [0, 1]) {
    system.sendFds(a, new Uint8Array(1), [read, write, read]);
    throwsWith("EMSGSIZE", () => system.receiveFds(b, new Uint8Array(1), max));
  }
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
  closeAll(a, b, read, write);
});

Deno.test("sending on a broken socket fails with EPIPE and sends no signal", () => {
  const [a, b] = system.socketPair();
  closeAll(b);
  throwsWith("EPIPE", () => system.sendFds(a, new Uint8Array(1), []));
  closeAll(a);
});

const vsock = hasVsock();

function hasVsock(): boolean {
  try {
    system.close(system.listenVsock(VMADDR.PORT_ANY));
    return true;
  } catch {
    return false;
  }
}

Deno.test({
  name: `a vsock port can be bound once${vsock ? "" : " (skipped: no AF_VSOCK in this kernel)"}`,
  ignore: !vsock,
  fn() {
    const port = 0x7f000000 + Deno.pid;
    const listener = system.listenVsock(port);
    assert.equal(system.accept(listener), null);
    throwsWith("EADDRINUSE", () => system.listenVsock(port));
    closeAll(listener);
  },
});

Deno.test({
  name: `vsockCid returns this machine's CID${
    vsock ? "" : " (skipped: no AF_VSOCK in this kernel)"
  }`,
  ignore: !vsock,
  fn: () => assert.equal(typeof system.vsockCid(), "number"),
});
