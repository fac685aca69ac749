import { run } from "./shim_container.ts";

/**
 * Hides a device in this mount namespace: a socket is bound over it, for which open(2) fails with
 * ENXIO as for a device without a driver. Disposing brings it back.
 */
export async function hidden(path: string): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const directory = Deno.makeTempDirSync({ prefix: "bench-hidden-" });
  stack.defer(() => Deno.removeSync(directory, { recursive: true }));
  const socket = `${directory}/socket`;
  stack.use(Deno.listen({ transport: "unix", path: socket }));
  await run("mount", ["--bind", socket, path]);
  stack.defer(async () => void await run("umount", [path]));
  return stack.move();
}
