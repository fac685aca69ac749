import type { OciMount } from "./oci.ts";

/** A file or folder of the host that a container has mounted. */
export interface Volume {
  readonly hostPath: string;
  readonly kind: "file" | "directory";
  /** What the guest knows it by, below what is shared: opaque, since it names nothing of the host. */
  readonly name: string;
  readonly readonly: boolean;
  /** With what is mounted below it on the host (rbind). */
  readonly recursive: boolean;
}

/** What a path is on the host; the planner asks, so that it stays a pure function. */
export type HostPathKind = "file" | "directory" | "socket" | "device" | "fifo" | "missing";

/** Thrown for a specification that this runtime cannot honour; the message names the field. */
export class UnsupportedSpecError extends Error {
  override readonly name = "UnsupportedSpecError";
}

/** Most volumes of a container; a bound against nonsense. */
export const VOLUMES_MAX = 1024;
/** File systems that the guest's kernel makes out of nothing; all others need something of the host. */
const GUEST_FILE_SYSTEMS: ReadonlySet<string> = new Set([
  ...["proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "cgroup", "cgroup2"],
]);
/** mount_namespaces(7): a mount made on one side would have to be seen on the other. */
const PROPAGATIONS: ReadonlySet<string> = new Set(["shared", "rshared", "slave", "rslave"]);
const NOT_SHARED: Readonly<Record<Exclude<HostPathKind, "file" | "directory">, string>> = {
  missing: "the source does not exist on the host",
  socket: "a unix socket of the host cannot be reached from inside a VM",
  device: "a device of the host cannot be had inside a VM",
  fifo: "a FIFO of the host cannot be reached from inside a VM",
};

/**
 * Takes the host's paths out of a specification's mounts, which it changes: the source of a bind
 * mount becomes where the guest has it, relative to the bundle.
 *
 * @param bundle what relative sources start at.
 * @param share the folder of the bundle in which the guest has what is shared.
 * @param sharedMemory what of the guest's is bound to /dev/shm where the host's would be; null: nothing.
 * @throws UnsupportedSpecError that names the mount and says why it cannot be had.
 */
export function planVolumes(
  mounts: OciMount[],
  { bundle, share, sharedMemory = null, kindOf }: {
    readonly bundle: string;
    readonly share: string;
    readonly sharedMemory?: string | null;
    readonly kindOf: (hostPath: string) => HostPathKind;
  },
): Volume[] {
  const volumes: Volume[] = [];
  for (const mount of mounts) {
    checkPropagation(mount);
    if (!isBind(mount)) {
      checkFileSystem(mount);
      continue;
    }
    if (sharedMemory !== null && mount.destination === "/dev/shm") {
      mount.source = sharedMemory;
      continue;
    }
    if (volumes.length === VOLUMES_MAX) {
      throw new UnsupportedSpecError(`more than ${VOLUMES_MAX} bind mounts`);
    }
    const options = mount.options ?? [];
    const source = mount.source ?? "";
    const hostPath = source.startsWith("/") ? source : `${bundle}/${source}`;
    const kind = source === "" ? "missing" : kindOf(hostPath);
    if (kind !== "file" && kind !== "directory") throw refusal(mount, NOT_SHARED[kind]);
    const name = `volume-${volumes.length}`;
    volumes.push({
      hostPath,
      kind,
      name,
      readonly: isReadonly(options),
      recursive: options.includes("rbind"),
    });
    mount.source = `${share}/${name}`;
  }
  return volumes;
}

function isBind({ type, options = [] }: OciMount): boolean {
  return type === "bind" || options.some((option) => option === "bind" || option === "rbind");
}

/** The last one counts, as with mount(8). */
function isReadonly(options: readonly string[]): boolean {
  const last = options.findLast((option) => ["ro", "rro", "rw", "rrw"].includes(option));
  return last === "ro" || last === "rro";
}

function checkPropagation(mount: OciMount): void {
  const option = mount.options?.find((one) => PROPAGATIONS.has(one));
  if (option === undefined) return;
  throw refusal(
    mount,
    `mounts do not propagate between the host and a VM (option ${option}); use rprivate`,
  );
}

function checkFileSystem(mount: OciMount): void {
  const { type = "none" } = mount;
  if (GUEST_FILE_SYSTEMS.has(type)) return;
  throw refusal(
    mount,
    type === "hugetlbfs"
      ? "hugetlbfs: the VM has no huge pages to give away; use tmpfs"
      : `file systems of type ${JSON.stringify(type)} cannot be mounted inside a VM; ` +
        "mount it on the host and give its folder as a bind mount",
  );
}

function refusal({ source, destination }: OciMount, why: string): UnsupportedSpecError {
  const quoted = (path: string) => /^[\x21-\x7e]+$/.test(path) ? path : JSON.stringify(path);
  const from = source ? quoted(source) : "nothing";
  return new UnsupportedSpecError(`mount of ${from} at ${quoted(destination)}: ${why}`);
}
