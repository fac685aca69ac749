import { guest, implement, type ServiceBinding } from "../../proto/mod.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";

/** Implements qemubox.guest.v1.Checkpoints. */
export function checkpointService(checkpoints: Checkpoints): ServiceBinding {
  return implement(guest.Checkpoints, {
    list: ({ name }) => ({ files: checkpoints.list(name) }),
    read: (request) => ({ data: checkpoints.read(request) }),
    write: (request) => {
      checkpoints.write(request);
      return {};
    },
    delete: ({ name }) => {
      checkpoints.delete(name);
      return {};
    },
  });
}
