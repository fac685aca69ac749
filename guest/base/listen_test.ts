import assert from "node:assert/strict";
import { connectUnix, type System, system } from "../../ffi/mod.ts";
import { type Console } from "./console.ts";
import { Port } from "./listen.ts";

/** A port on a unix socket, dialed by the vsock context `cid`. */
async function withPort(
  cid: number,
  run: (dial: () => ReturnType<typeof connectUnix>, log: string[]) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const log: string[] = [];
  const console = { log: (line: string) => void log.push(line) } as Console;
  const double: System = {
    ...system,
    listenVsock: () => system.listenUnix(`${folder}/port`),
    vsockPeer: () => ({ cid, port: 1 }),
  };
  const port = new Port(double, "rpc", 1025, console);
  const served = port.serve(async (connection) => await connection.write(Uint8Array.of(42)));
  await run(() => connectUnix(`${folder}/port`), log);
  await port.disconnected();
  port.close();
  await assert.rejects(served, /EBADF/);
  await Deno.remove(folder, { recursive: true });
}

Deno.test("the host is served", () =>
  withPort(2, async (dial, log) => {
    using connection = await dial();
    const byte = new Uint8Array(1);
    assert.equal(await connection.read(byte), 1);
    assert.equal(byte[0], 42);
    assert.equal(await connection.read(byte), null);
    assert.deepEqual(log, []);
  }));

Deno.test("others are hung up on", () =>
  withPort(3, async (dial, log) => {
    using connection = await dial();
    assert.equal(await connection.read(new Uint8Array(1)), null);
    assert.deepEqual(log, ["rpc: refused a connection from vsock context 3"]);
  }));
