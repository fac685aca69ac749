import assert from "node:assert/strict";
import { isDirectory } from "../base/mod.ts";
import { connectUnix, connectVsock } from "./connect.ts";
import { VMADDR } from "./constants.ts";
import { FdListener } from "./fd_listener.ts";
import { Poller } from "./poller.ts";
import { system } from "./real_system.ts";
import { isSystemError } from "./system_error.ts";

const openFds = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
const rejectsWith = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => isSystemError(error, code));

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("accept returns connections in order", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    using listener = new FdListener(system.listenUnix(path));
    for (let round = 0; round < 3; round++) {
      const accepting = listener.accept();
      using client = await connectUnix(path);
      using server = await accepting;
      await client.write(Uint8Array.from([round]));
      const into = new Uint8Array(1);
      assert.equal(await server.read(into), 1);
      assert.equal(into[0], round);
    }
  }));

Deno.test("Deno's own sockets can connect", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    using listener = new FdListener(system.listenUnix(path));
    using theirs = await Deno.connect({ transport: "unix", path });
    using ours = await listener.accept();
    await theirs.write(Uint8Array.from([9]));
    const into = new Uint8Array(1);
    assert.equal(await ours.read(into), 1);
    assert.equal(into[0], 9);
  }));

Deno.test("close ends all pending accepts, an abort only its own", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    const listener = new FdListener(system.listenUnix(path));
    const controller = new AbortController();
    const aborted = listener.accept({ signal: controller.signal });
    const pending = listener.accept();
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    listener.close();
    listener.close();
    await rejectsWith(pending, "EBADF");
    await rejectsWith(listener.accept(), "EBADF");
  }));

Deno.test("connectUnix waits while the backlog is full, until it is aborted", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    using listener = new FdListener(system.listenUnix(path, { backlog: 0 }));
    using first = await connectUnix(path);
    const controller = new AbortController();
    const abandoned = connectUnix(path, { signal: controller.signal });
    const waiting = connectUnix(path);
    controller.abort(new Error("enough"));
    await assert.rejects(abandoned, /enough/);
    (await listener.accept()).close();
    using second = await waiting;
    assert.notEqual(first.fd, second.fd);
  }));

Deno.test("connecting to nothing fails with the path", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/socket`;
    await assert.rejects(connectUnix(path), { code: "ENOENT", path });
    system.close(system.listenUnix(path));
    await assert.rejects(connectUnix(path), { code: "ECONNREFUSED", path });
  }));

const vsock = hasVsock();
const loopback = vsock && isDirectory("/sys/module/vsock_loopback");

function hasVsock(): boolean {
  try {
    system.close(system.listenVsock(VMADDR.PORT_ANY));
    return true;
  } catch {
    return false;
  }
}

Deno.test({
  name: `an aborted vsock connect leaks no descriptor${
    vsock ? "" : " (skipped: no AF_VSOCK in this kernel)"
  }`,
  ignore: !vsock,
  async fn() {
    using poller = new Poller();
    const event = system.eventfd();
    const before = openFds();
    const controller = new AbortController();
    const connecting = connectVsock(VMADDR.CID_LOCAL, 4711, { signal: controller.signal });
    controller.abort(new Error("enough"));
    // Fails at once with a loopback, and without any transport.
    await assert.rejects(connecting);
    await assert.rejects(connectVsock(1, 4711, { signal: controller.signal }), /enough/);
    system.close(event);
    poller[Symbol.dispose]();
    assert(openFds() <= before + 2, "only the process-wide poller may have opened its own");
  },
});

Deno.test({
  name: `vsock carries bytes${loopback ? "" : " (skipped: no vsock_loopback module)"}`,
  ignore: !loopback,
  async fn() {
    const port = 0x7e000000 + Deno.pid;
    using listener = new FdListener(system.listenVsock(port));
    const accepting = listener.accept();
    using client = await connectVsock(VMADDR.CID_LOCAL, port);
    using server = await accepting;
    await client.write(Uint8Array.from([5]));
    assert.equal(await server.read(new Uint8Array(1)), 1);
  },
});
