/**
 * Networks of sandboxes: CNI configurations and plugins, taps, what the guest is to be set to.
 *
 * `planNetwork` decides, {@link SandboxNetwork} makes and undoes, `detachAll` undoes from the store
 * alone what a process that is gone had made.
 */
export { NetworkError } from "./error.ts";
export type { NetworkErrorKind } from "./error.ts";
export { CNI_VERSIONS, findNetwork, parseConf, readConfFolder } from "./conf.ts";
export type { ConfFolder, NetworkConf, PluginConf } from "./conf.ts";
export { NETWORK_ANNOTATIONS, networkRequest } from "./request.ts";
export type { NetworkRequest, PortMapping } from "./request.ts";
export { DEFAULT_NETWORK, DEFAULT_PLUGIN_PATH, planNetwork } from "./plan.ts";
export type { NetworkPlan, NetworkSettings } from "./plan.ts";
export { addChain, deleteChain } from "./chain.ts";
export type { Attachment, ChainHost, ChainResult } from "./chain.ts";
export { PLUGIN_TIMEOUT_MS, PluginError } from "./plugin.ts";
export { attachedOwners, checkAttachments, detachAll } from "./attachments.ts";
export type { CheckedAttachment } from "./attachments.ts";
export { collectGarbageOnce } from "./garbage.ts";
export type { GarbageHost } from "./garbage.ts";
export { AttachmentStore } from "./store.ts";
export type { Owner, StoredAttachment } from "./store.ts";
export { SandboxNetwork } from "./sandbox_network.ts";
export type { GuestNetwork, NetnsUsers, NetworkHost, Nic } from "./sandbox_network.ts";
export type { GuestAddress, GuestInterface, GuestRoute } from "./netns_state.ts";
export { createNetns, removeNetns } from "./netns.ts";
export { formatHosts, formatResolvConf } from "./dns.ts";
export type { Resolver } from "./dns.ts";
