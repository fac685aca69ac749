/** The host's end of what is carried over TCP: how fast the other end sends, and takes. */

const BLOCK = new Uint8Array(1024 * 1024);

/** Starts the other end, which is to connect to this port; resolves with its end. */
export type Connect = (port: number) => Promise<unknown>;

/**
 * How fast the other end sends, in MB/s: from its connection to the last of its bytes.
 * @throws Error when it sends any other number of them.
 */
export async function speedFrom(bytes: number, connect: Connect): Promise<number> {
  return await withPeer(connect, async (peer) => {
    const from = performance.now();
    const count = await drain(peer);
    const ms = performance.now() - from;
    if (count !== bytes) throw new Error(`${count} of ${bytes} bytes came`);
    return bytes / 1000 / ms;
  });
}

/** How fast the other end takes what is sent, in MB/s: up to its close, for which it waits for all. */
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
  const gone = ended.then(() => Promise.reject(new Error("the other end did not connect")));
  using peer = await Promise.race([listener.accept(), gone]);
  gone.catch(() => {}); // By now it is to end.
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
