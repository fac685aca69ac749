import { quoted } from "../../base/mod.ts";
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

/**
 * Implements qemubox.guest.v1.Bundles.
 *
 * @param inUse returns whether a container was made from the bundle at a path
 */
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

/** The bundle of a container that is being created. To be disposed if the create fails. */
export interface ContainerBundle extends AsyncDisposable {
  readonly path: string;
}

/**
 * Returns the bundle of a Task.Create: one that Bundles.Create made, by its path; or, to save that
 * call, one made now from a CreateBundleRequest in the options.
 *
 * @throws {RpcError} FailedPrecondition: no bundle at the path; InvalidArgument: other options; the
 *   errors of Bundles.Create
 */
export function bundleFor(
  bundles: Bundles,
  { bundle, options }: { readonly bundle: string; readonly options?: Any | undefined },
): ContainerBundle {
  if (options === undefined) {
    if (!bundles.has(bundle)) {
      throw new RpcError(Code.FailedPrecondition, `no bundle at ${quoted(bundle)}`);
    }
    return { path: bundle, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const request = unpackAny(guest.CreateBundleRequestSchema, options);
  return { path: bundles.create(request), [Symbol.asyncDispose]: () => bundles.delete(request.id) };
}
