import { createHash } from "node:crypto";

/** Which sandbox this is: containerd's namespace, and the id of the task that it was made for. */
export interface SandboxName {
  readonly namespace: string;
  readonly id: string;
}

/** Every path on the host that belongs to one sandbox. */
export interface SandboxPaths {
  /** Folder of the lease: `<run>/<namespace>/<id>`. */
  readonly lease: string;
  /**
   * Folder of sockets and of what is shared with the VM. Its name is a hash of namespace and id,
   * because both together do not fit into the 107 bytes of a unix socket's path (unix(7)).
   */
  readonly runtime: string;
  /** What virtiofsd shares with the VM. */
  readonly shared: string;
  /** What lies under it where it grows: the places of containers that come later. */
  readonly places: string;
  /** Where what such a container gets to see is put together. */
  readonly members: string;
  /** Where the sandbox's network namespace is mounted, if it has one of its own. */
  readonly netns: string;
  /** Folder of all sandboxes' network namespaces. */
  readonly netnsFolder: string;
}

/** Folder, below the run folder, of CID leases. */
export const CID_FOLDER = "cid";
/** What a lease calls a context id that is about to be drawn. */
export const CID_INTENT = "cid";
/** Folder, below the run folder, of the sandboxes' runtime folders. */
export const RUNTIME_FOLDER = "s";
/** Folder, below the run folder, of network namespaces. */
export const NETNS_FOLDER = "netns";
/** Names below the run folder that are no containerd namespaces. */
export const RESERVED_FOLDERS: ReadonlySet<string> = new Set([
  CID_FOLDER,
  RUNTIME_FOLDER,
  NETNS_FOLDER,
]);

export function sandboxPaths(config: { readonly runDir: string }, name: SandboxName): SandboxPaths {
  const runtime = `${config.runDir}/${RUNTIME_FOLDER}/${hash(`${name.namespace}/${name.id}`, 20)}`;
  return {
    lease: `${config.runDir}/${leaseFolder(name.namespace)}/${name.id}`,
    runtime,
    shared: `${runtime}/shared`,
    places: `${runtime}/places`,
    members: `${runtime}/members`,
    // No identifier of containerd has two separators in a row: no two sandboxes share one.
    netns: `${config.runDir}/${NETNS_FOLDER}/${name.namespace}--${name.id}`,
    netnsFolder: `${config.runDir}/${NETNS_FOLDER}`,
  };
}

/** The run folder that a sandbox's runtime folder lies in. */
export function runFolderOf(runtime: string): string {
  return runtime.split("/").slice(0, -2).join("/");
}

/** A namespace that happens to be called like one of our own folders gets a name it cannot have. */
function leaseFolder(namespace: string): string {
  return RESERVED_FOLDERS.has(namespace) ? `_${namespace}` : namespace;
}

/**
 * What QEMU and its helpers are called in their arguments and environment. The slash is in neither
 * part, so no two sandboxes share a name.
 */
export function vmName(name: SandboxName): string {
  return `${name.namespace}/${name.id}`;
}

/**
 * The unix socket that containerd connects to, where containerd's own shims put theirs.
 * @param directory containerd's socket folder; its default when it does not say.
 */
export function socketPath(
  name: SandboxName,
  containerdAddress: string,
  directory = "/run/containerd/s",
): string {
  return `${directory}/${hash(`${containerdAddress}/${name.namespace}/${name.id}`, 64)}`;
}

function hash(text: string, digits: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, digits);
}
