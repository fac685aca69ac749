import { Code, guest, implement, RpcError, type ServiceBinding } from "../proto/mod.ts";
import { type Bundles } from "./bundles.ts";
import { quoted } from "./ids.ts";

/** qemubox.guest.v1.Bundles. `inUse` says whether a container was made from the bundle at a path. */
export function bundleService(bundles: Bundles, inUse: (path: string) => boolean): ServiceBinding {
  return implement(guest.Bundles, {
    create: (request) => ({ path: bundles.create(request) }),
    delete: ({ id }) => {
      const path = bundles.pathOf(id);
      if (path !== null && inUse(path)) {
        throw new RpcError(Code.FailedPrecondition, `bundle ${quoted(id)} has a container`);
      }
      bundles.delete(id);
      return {};
    },
  });
}
