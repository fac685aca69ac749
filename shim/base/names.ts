import { createHash } from "node:crypto";

/** Identity of a sandbox: containerd's namespace and the id of the task that it was made for. */
export interface SandboxName {
  readonly namespace: string;
  readonly id: string;
}

/** Paths on the host that belong to one sandbox. */
export interface SandboxPaths {
  /** Directory of the lease: `<run>/<namespace>/<id>`. */
  readonly lease: string;
  /**
   * Directory of sockets and of the files shared with the VM. Its name is a hash of namespace and
   * id, because both together do not fit into the 107 bytes of a unix socket's path (unix(7)).
   */
  readonly runtime: string;
  /** Directory that virtiofsd shares with the VM. */
  readonly shared: string;
  /** Directory mounted under `shared` in a pod, in which later containers get mount points. */
  readonly places: string;
  /** Directory in which the files of a later container are assembled before they are shared. */
  readonly containers: string;
  /** Mount point of the sandbox's network namespace, if it has its own. */
  readonly netns: string;
  /** Directory of all sandboxes' network namespaces. */
  readonly netnsDirectory: string;
}

/** Directory of CID leases, below the run directory. */
export const CID_DIRECTORY = "cid";
/** Intent in a lease for a context id that is about to be allocated. */
export const CID_INTENT = "cid";
/** Directory of leases of user ids, below the run directory. */
export const USER_DIRECTORY = "uid";
/** Intent in a lease for a user id that is about to be allocated. */
export const USER_INTENT = "uid";
/** Directory of the sandboxes' runtime directories, below the run directory. */
export const RUNTIME_DIRECTORY = "s";
/** Directory of network namespaces, below the run directory. */
export const NETNS_DIRECTORY = "netns";
/** Names below the run directory that are not containerd namespaces. */
export const RESERVED_DIRECTORIES: ReadonlySet<string> = new Set([
  CID_DIRECTORY,
  USER_DIRECTORY,
  RUNTIME_DIRECTORY,
  NETNS_DIRECTORY,
]);

/** Returns the paths of a sandbox. Pure. */
export function sandboxPaths(config: { readonly runDir: string }, name: SandboxName): SandboxPaths {
  const runtime = `${config.runDir}/${RUNTIME_DIRECTORY}/${
    hash(`${name.namespace}/${name.id}`, 20)
  }`;
  return {
    lease: `${config.runDir}/${leaseDirectory(name.namespace)}/${name.id}`,
    runtime,
    shared: `${runtime}/shared`,
    places: `${runtime}/places`,
    containers: `${runtime}/containers`,
    // No containerd identifier has two separators in a row, so no two sandboxes share this path.
    netns: `${config.runDir}/${NETNS_DIRECTORY}/${name.namespace}--${name.id}`,
    netnsDirectory: `${config.runDir}/${NETNS_DIRECTORY}`,
  };
}

/** Returns the run directory that holds a sandbox's runtime directory. */
export function runDirectoryOf(runtime: string): string {
  return runtime.split("/").slice(0, -2).join("/");
}

/** A namespace named like a directory of ours gets a name that no namespace can have. */
function leaseDirectory(namespace: string): string {
  return RESERVED_DIRECTORIES.has(namespace) ? `_${namespace}` : namespace;
}

/**
 * Returns the name of the VM in the arguments and environment of QEMU and its helpers. Neither part
 * has a slash, so no two sandboxes share a name.
 */
export function vmName(name: SandboxName): string {
  return `${name.namespace}/${name.id}`;
}

/**
 * Returns the path of the unix socket that containerd connects to, as containerd's own shims choose
 * it.
 *
 * @param directory containerd's socket directory, by default that of containerd.
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
