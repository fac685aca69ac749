/**
 * Networks of sandboxes: CNI configurations and plugins, taps, and the settings of the guest's
 * interfaces.
 *
 * `planNetwork` decides, {@link SandboxNetwork} makes and undoes, and `detachAll` undoes from the
 * store alone what a process that is gone had made.
 *
 * @module
 */
export { NetworkError, type NetworkErrorKind } from "./error.ts";
export { parseConf, readConfFolder } from "./conf.ts";
export { NETWORK_ANNOTATIONS, networkRequest } from "./request.ts";
export { DEFAULT_NETWORK, DEFAULT_PLUGIN_PATH, type NetworkPlan, planNetwork } from "./plan.ts";
export { addChain, type ChainHost, deleteChain } from "./chain.ts";
export {
  attachedOwners,
  checkAttachments,
  type CheckedAttachment,
  detachAll,
} from "./attachments.ts";
export { collectGarbageOnce } from "./garbage.ts";
export { AttachmentStore, type StoredAttachment } from "./store.ts";
export {
  type GuestNetwork,
  type NetnsUsers,
  type NetworkHost,
  SandboxNetwork,
} from "./sandbox_network.ts";
export { createNetns, removeNetns } from "./netns.ts";
export { formatHosts, formatResolvConf } from "./dns.ts";
