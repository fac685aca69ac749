import type { System } from "../../ffi/mod.ts";
import { Code, guest, implement, RpcError, type ServiceBinding } from "../../proto/mod.ts";
import { configureNetwork } from "../system/network.ts";

/** qemubox.guest.v1.Network. */
export function networkService(system: System): ServiceBinding {
  let configured = false;
  return implement(guest.Network, {
    configure: (request) => {
      if (configured) {
        throw new RpcError(Code.FailedPrecondition, "the network is configured already");
      }
      configured = true;
      configureNetwork({ system, writeSysctl: Deno.writeTextFileSync }, request);
      return {};
    },
  });
}
