/** The host's end of a TCP transfer: measures how fast the peer sends and receives. */

import { MIB } from "../../base/mod.ts";

const BLOCK = new Uint8Array(MIB);

/** Starts the peer, which has to connect to this port; resolves when it exits. */
export type Connect = (port: number) => Promise<unknown>;

/**
 * Returns how fast the peer sends in MB/s, from its connection to its last byte.
 *
 * @throws {Error} if it sends any other number of bytes.
 */
export async function speedFrom(bytes: number, connect: Connect): Promise<number> {
  return await withPeer(connect, async (peer) => {
    const from = performance.now();
    const count = await drain(peer);
    const ms = performance.now() - from;
    if (count !== bytes) throw new Error(`${count} of ${bytes} bytes arrived`);
    return bytes / 1000 / ms;
  });
}

/** Returns how fast the peer receives in MB/s, up to its close after the last byte. */
export async function speedTo(bytes: number, connect: Connect): Promise<number> {
  return await withPeer(connect, async (peer) => {
    const from = performance.now();
    for (let left = bytes; left > 0;) left -= await peer.write(BLOCK.subarray(0, left));
    await peer.closeWrite();
    await drain(peer);
    return bytes / 1000 / (performance.now() - from);
  });
}

async function withPeer<T>(connect: Connect, work: (peer: Deno.TcpConn) => Promise<T>): Promise<T> {
  using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const ended = connect(listener.addr.port);
  const gone = ended.then(() => Promise.reject(new Error("peer did not connect")));
  using peer = await Promise.race([listener.accept(), gone]);
  gone.catch(() => {}); // From now on it may exit.
  const result = await work(peer);
  await ended;
  return result;
}

async function drain(peer: Deno.TcpConn): Promise<number> {
  let count = 0;
  for (;;) {
    const read = await peer.read(BLOCK);
    if (read === null) return count;
    count += read;
  }
}
