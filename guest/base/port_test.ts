import assert from "node:assert/strict";
import { connectUnix, type System, system } from "../../ffi/mod.ts";
import { type Console } from "./console.ts";
import { Port } from "./port.ts";

/** Runs a test with a port on a Unix socket that vsock context `cid` dials. */
async function withPort(
  cid: number,
  run: (dial: () => ReturnType<typeof connectUnix>, log: string[]) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const log: string[] = [];
  const console = { log: (line: string) => void log.push(line) } as Console;
  const double: System = {
    ...system,
    listenVsock: () => system.listenUnix(`${directory}/port`),
    vsockPeer: () => ({ cid, port: 1 }),
  };
  const port = new Port(double, "rpc", 1025, console);
  const served = port.serve(
    { admits: () => Promise.resolve(true) },
    async (connection) => await connection.write(Uint8Array.of(42)),
  );
  await run(() => connectUnix(`${directory}/port`), log);
  await port.disconnected();
  port.close();
  await assert.rejects(served, /EBADF/);
  await Deno.remove(directory, { recursive: true });
}

Deno.test("connections of the host are served", () =>
  withPort(2, async (dial, log) => {
    using connection = await dial();
    const byte = new Uint8Array(1);
    assert.equal(await connection.read(byte), 1);
    assert.equal(byte[0], 42);
    assert.equal(await connection.read(byte), null);
    assert.deepEqual(log, []);
  }));

Deno.test("other connections are closed", () =>
  withPort(3, async (dial, log) => {
    using connection = await dial();
    assert.equal(await connection.read(new Uint8Array(1)), null);
    assert.deepEqual(log, ["rpc: refused connection from vsock context 3"]);
  }));
