/** Runs in a guest: greets on vsock port 1025, and echoes what it receives. */
import { FdListener, type FdStream, system } from "../../ffi/mod.ts";

const listener = new FdListener(system.listenVsock(1025));
console.log("echo listens");
for (;;) await echo(await listener.accept());

async function echo(stream: FdStream): Promise<void> {
  const chunk = new Uint8Array(16 * 1024);
  await stream.write(new TextEncoder().encode("hello\n"));
  for (;;) {
    const count = await stream.read(chunk);
    if (count === null) break;
    await stream.write(chunk.slice(0, count));
  }
  stream.close();
}
