import assert from "node:assert/strict";
import { Code, guest, packAny, RpcError, runcOptions } from "../../proto/mod.ts";
import { bundleFor } from "./bundle_service.ts";
import { Bundles } from "../bundle/bundles.ts";
import { memoryConsole } from "../testing/memory_console.ts";
import { bundleRequest, layer } from "../testing/bundle_request.ts";
import { fakeMounts } from "../testing/fake_mounts.ts";

Deno.test("bundleFor returns an existing bundle, or makes one that dispose deletes", async () => {
  const root = await Deno.makeTempDir();
  try {
    const { system, mounted } = fakeMounts();
    const bundles = new Bundles(system, memoryConsole(), root);
    const request = bundleRequest({ rootfs: { lower: [layer("rootfs")] } });
    const options = packAny(guest.CreateBundleRequestSchema, request);

    const made = bundleFor(bundles, { bundle: "", options });
    assert(bundles.has(made.path));
    assert(mounted.length > 0);
    // It exists now: it cannot be made again, and a mere user does not delete it.
    assert.throws(() => bundleFor(bundles, { bundle: "", options }), refused(Code.AlreadyExists));
    await bundleFor(bundles, { bundle: made.path })[Symbol.asyncDispose]();
    assert(bundles.has(made.path));
    await made[Symbol.asyncDispose]();
    assert(!bundles.has(made.path));

    const path = bundles.create(request);
    assert.equal(bundleFor(bundles, { bundle: path }).path, path);
    assert.throws(() => bundleFor(bundles, { bundle: "/etc" }), refused(Code.FailedPrecondition));
    const other = packAny(runcOptions.OptionsSchema, {});
    assert.throws(
      () => bundleFor(bundles, { bundle: path, options: other }),
      refused(Code.InvalidArgument),
    );
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

function refused(code: Code): (error: unknown) => boolean {
  return (error) => error instanceof RpcError && error.code === code;
}
