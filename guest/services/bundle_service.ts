import {
  type Any,
  Code,
  guest,
  implement,
  RpcError,
  type ServiceBinding,
  unpackAny,
} from "../../proto/mod.ts";
import { type Bundles } from "../bundle/bundles.ts";
import { quoted } from "../base/ids.ts";

/** qemubox.guest.v1.Bundles. `inUse` says whether a container was made from the bundle at a path. */
export function bundleService(bundles: Bundles, inUse: (path: string) => boolean): ServiceBinding {
  return implement(guest.Bundles, {
    create: (request) => ({ path: bundles.create(request) }),
    delete: async ({ id }) => {
      const path = bundles.pathOf(id);
      if (path !== null && inUse(path)) {
        throw new RpcError(Code.FailedPrecondition, `bundle ${quoted(id)} has a container`);
      }
      await bundles.delete(id);
      return {};
    },
  });
}

/** A bundle that a container is about to be made from. Disposing it says that none was. */
export interface ContainerBundle extends AsyncDisposable {
  readonly path: string;
}

/**
 * The bundle of a Task.Create: one that Bundles.Create made before, by its path, or, to save that
 * call, one that is made now, from a CreateBundleRequest among the options.
 *
 * @throws {RpcError} NotFound: no such path; InvalidArgument: other options; what Bundles.Create says
 */
export function bundleFor(
  bundles: Bundles,
  { bundle, options }: { readonly bundle: string; readonly options?: Any | undefined },
): ContainerBundle {
  if (options === undefined) {
    if (!bundles.has(bundle)) throw new RpcError(Code.NotFound, `no bundle at ${quoted(bundle)}`);
    return { path: bundle, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const request = unpackAny(guest.CreateBundleRequestSchema, options);
  return { path: bundles.create(request), [Symbol.asyncDispose]: () => bundles.delete(request.id) };
}
