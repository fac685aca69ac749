import type { System } from "../../ffi/mod.ts";
import { Code, guest, implement, RpcError, type ServiceBinding } from "../../proto/mod.ts";
import { configureNetwork } from "../system/network.ts";

/** Implements qemubox.guest.v1.Network. The network can be configured once. */
export function networkService(system: System): ServiceBinding {
  let configured = false;
  return implement(guest.Network, {
    configure: (request) => {
      if (configured) {
        throw new RpcError(Code.FailedPrecondition, "network is already configured");
      }
      configured = true;
      configureNetwork({ system, writeSysctl: Deno.writeTextFileSync }, request);
      return {};
    },
  });
}
