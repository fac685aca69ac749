import { quoted } from "../../base/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import type { OciMount } from "./oci.ts";

/** A file or directory of the host that a container mounts. */
export interface Volume {
  readonly hostPath: string;
  readonly kind: "file" | "directory";
  /** Its name in the share. Opaque to the guest: it names nothing of the host. */
  readonly name: string;
  readonly readonly: boolean;
  /** Includes mounts below it on the host (rbind). */
  readonly recursive: boolean;
}

/** The kind of file at a path of the host. The planner asks for it, to stay a pure function. */
export type HostPathKind = "file" | "directory" | "socket" | "device" | "fifo" | "missing";

/** Most volumes of a container: a sanity limit. */
export const VOLUMES_MAX = 1024;
/** File systems that need nothing of the host. */
const GUEST_FILE_SYSTEMS: ReadonlySet<string> = new Set([
  ...["proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "cgroup", "cgroup2"],
]);
/** Propagation types by which a mount on one side is seen on the other: mount_namespaces(7). */
const PROPAGATIONS: ReadonlySet<string> = new Set(["shared", "rshared", "slave", "rslave"]);
const NOT_SHARED: Readonly<Record<Exclude<HostPathKind, "file" | "directory">, string>> = {
  missing: "the source does not exist on the host",
  socket: "a Unix socket of the host cannot be reached from inside a VM",
  device: "a device of the host cannot be used inside a VM",
  fifo: "a FIFO of the host cannot be reached from inside a VM",
};

/**
 * Takes the host's paths out of a specification's mounts. Changes `mounts`: the source of a bind
 * mount becomes its place in the guest, relative to the bundle.
 *
 * @param bundle directory that relative sources start at.
 * @param share directory of the bundle where the guest mounts the share.
 * @param sharedMemory the guest's directory for /dev/shm instead of the host's; null: unchanged.
 * @throws RefusedError `unsupported` naming the mount and the reason.
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
      const why = `contain more than ${VOLUMES_MAX} bind mounts`;
      throw new RefusedError("unsupported", "mounts of config.json", why);
    }
    const options = mount.options ?? [];
    const source = mount.source ?? "";
    const hostPath = source.startsWith("/") ? source : `${bundle}/${source}`;
    const kind = source === "" ? "missing" : kindOf(hostPath);
    if (kind !== "file" && kind !== "directory") throw refused(mount, NOT_SHARED[kind]);
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

/** The last option counts, as with mount(8). */
function isReadonly(options: readonly string[]): boolean {
  const last = options.findLast((option) => ["ro", "rro", "rw", "rrw"].includes(option));
  return last === "ro" || last === "rro";
}

function checkPropagation(mount: OciMount): void {
  const option = mount.options?.find((one) => PROPAGATIONS.has(one));
  if (option === undefined) return;
  const why = `mounts do not propagate between the host and a VM (option ${option})`;
  throw refused(mount, why, "use rprivate");
}

function checkFileSystem(mount: OciMount): void {
  const { type = "none" } = mount;
  if (GUEST_FILE_SYSTEMS.has(type)) return;
  if (type === "hugetlbfs") {
    throw refused(mount, "hugetlbfs: the VM has no huge pages to give away", "use tmpfs");
  }
  throw refused(
    mount,
    `file systems of type ${quoted(type)} cannot be mounted inside a VM`,
    "mount it on the host and use its directory as a bind mount",
  );
}

function refused({ source, destination }: OciMount, why: string, fix?: string): RefusedError {
  const show = (path: string) => /^[\x21-\x7e]+$/.test(path) ? path : quoted(path);
  const from = source ? show(source) : "nothing";
  return new RefusedError("unsupported", `mount of ${from} at ${show(destination)}:`, why, fix);
}
