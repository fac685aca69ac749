import { run } from "./shim_container.ts";

/**
 * Takes a device away from whoever opens it from here on, in this mount namespace: a socket is bound
 * over it, of which open(2) says ENXIO, as of a device without a driver. Disposing brings it back.
 */
export async function hidden(path: string): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const folder = Deno.makeTempDirSync({ prefix: "bench-hidden-" });
  stack.defer(() => Deno.removeSync(folder, { recursive: true }));
  const socket = `${folder}/socket`;
  stack.use(Deno.listen({ transport: "unix", path: socket }));
  await run("mount", ["--bind", socket, path]);
  stack.defer(async () => void await run("umount", [path]));
  return stack.move();
}
