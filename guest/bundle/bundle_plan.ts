import { MS } from "../../ffi/mod.ts";
import { encodeOciJson, type guest, parseOciJson } from "../../proto/mod.ts";
import { type DeviceNumbers, limitsOfOwnDisks, mentionsThrottles } from "./block_limits.ts";
import type { BundlePlan, BundleStep } from "./bundle_step.ts";
import { checkedContainerId, quoted } from "../base/ids.ts";
import { invalid } from "../base/errors.ts";
import { type JsonObject } from "../runtime/oci_json.ts";
import { checkedDisk, type DiskOf, writableSteps } from "./writable_steps.ts";

/** Folder of all bundles. */
export const BUNDLES_FOLDER = "/run/qemubox/bundles";

/** Most layers of a root file system: overlayfs's own limit is 500. */
export const LAYERS_MAX = 500;
/** A disk has no partition of a higher number (DISK_MAX_PARTS of the kernel). */
export const PARTITIONS_MAX = 255;
/** Most extra files in a bundle. */
export const FILES_MAX = 64;
/** mount(2) takes one page of options, its last byte being the terminator. */
export const MOUNT_DATA_BYTES_MAX = 4_095;

/** Names in a bundle's folder that are taken. */
const RESERVED_NAMES = new Set([
  "config.json",
  "rootfs",
  "shares",
  "layers",
  "writable",
  "disk",
  "pid",
]);
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;
// A virtio-fs tag has 36 bytes. It becomes a folder's name.
const TAG = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,35}$/;
const SECTOR_BYTES = 512n;
/** A bound against nonsense: 8 PiB, which a number holds exactly. */
const DISK_BYTES_MAX = 1n << 53n;
// No character that overlayfs's options give a meaning to (":", ",", "\").
const SUBDIRECTORY = /^[A-Za-z0-9._@+-]+(?:\/[A-Za-z0-9._@+-]+)*$/;

/**
 * What has to be done for `request`: a folder with `config.json`, the extra files, and `rootfs`, an
 * overlay of the read-only layers below a writable tmpfs or disk (none: the root file system is
 * read-only).
 *
 * @param ownDisks the disks that are the container's.
 * @throws {RpcError} InvalidArgument, Unimplemented
 */
export function planBundle(
  request: guest.CreateBundleRequest,
  root: string,
  diskOf: DiskOf,
  ownDisks: () => readonly DeviceNumbers[],
): BundlePlan {
  const id = checkedContainerId(request.id);
  const path = `${root}/${id}`;
  const content = configFor(request.configJson, ownDisks);

  const layers = request.rootfs?.lower ?? [];
  const isSnapshot = request.rootfs?.writable?.kind.case === "snapshot";
  if (layers.length === 0 && !isSnapshot) throw invalid("the root file system has no layer");
  if (layers.length > LAYERS_MAX) {
    throw invalid(`${layers.length} layers, more than the ${LAYERS_MAX} that overlayfs takes`);
  }
  const shares = new Shares(`${path}/shares`);
  for (const share of request.shares) shares.mount(share);
  const images = new Images(path, shares, diskOf);
  const lower = layers.map((layer) => images.pathOf(layer));

  return {
    id,
    path,
    steps: [
      { do: "folder", path, mode: 0o711 },
      { do: "file", path: `${path}/config.json`, content, mode: 0o600 },
      ...fileSteps(path, request),
      { do: "folder", path: `${path}/shares`, mode: 0o700 },
      ...shares.steps,
      { do: "folder", path: `${path}/layers`, mode: 0o700 },
      ...images.steps,
      { do: "folder", path: `${path}/rootfs`, mode: 0o755 },
      ...rootfsSteps(path, lower, request, diskOf),
    ],
    snapshot: isSnapshot ? `${path}/writable` : null,
  };
}

/** Each share is mounted once, whatever lies on it. */
class Shares {
  readonly steps: BundleStep[] = [];
  readonly #folder: string;
  readonly #mounted = new Set<string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Mounts a share, unless it is. */
  mount({ tag, writable }: { readonly tag: string; readonly writable: boolean }): string {
    if (!TAG.test(tag)) throw invalid(`invalid virtio-fs tag ${quoted(tag)}`);
    const target = `${this.#folder}/${tag}`;
    if (this.#mounted.has(tag)) return target;
    this.#mounted.add(tag);
    const flags = writable ? 0 : MS.RDONLY;
    this.steps.push(
      { do: "folder", path: target, mode: 0o700 },
      { do: "mount", source: tag, target, fstype: "virtiofs", flags, data: null },
    );
    return target;
  }

  /** Where something on a share is to be found once the steps are done. */
  pathOf({ tag, subdirectory }: guest.VirtioFs): string {
    const folder = this.mount({ tag, writable: false });
    if (subdirectory === "") return folder;
    if (!SUBDIRECTORY.test(subdirectory) || subdirectory.split("/").includes("..")) {
      throw invalid(`invalid subdirectory ${quoted(subdirectory)} of ${tag}`);
    }
    return `${folder}/${subdirectory}`;
  }
}

/** The layers of a root file system: folders of a share, EROFS files of one, parts of a disk. */
class Images {
  readonly steps: BundleStep[] = [];
  readonly #path: string;
  readonly #shares: Shares;
  readonly #diskOf: DiskOf;
  readonly #partitions = new Map<string, number>();
  #mounted = 0;

  constructor(path: string, shares: Shares, diskOf: DiskOf) {
    this.#path = path;
    this.#shares = shares;
    this.#diskOf = diskOf;
  }

  /** Where `layer` is to be found, relative to the bundle, once the steps are done. */
  pathOf({ source, devices }: guest.Layer): string {
    switch (source.case) {
      case "virtiofs": {
        const path = this.#shares.pathOf(source.value);
        // virtiofsd announces mounts of the host; until they are entered, overlayfs refuses them.
        if (source.value.subdirectory !== "") this.steps.push({ do: "enter", path });
        return path.slice(this.#path.length + 1);
      }
      default: {
        const image = this.#imageOf(source);
        return this.#mount(image, devices.map((device) => this.#imageOf(device.source)));
      }
    }
  }

  /** The device or file of an image. */
  #imageOf(source: guest.LayerDevice["source"]): string {
    if (source.case === "file") return this.#shares.pathOf(source.value);
    if (source.case === "block") return this.#cut(source.value);
    throw invalid("a layer has no source");
  }

  #mount(source: string, devices: readonly string[]): string {
    const name = `layers/${this.#mounted++}`;
    const target = `${this.#path}/${name}`;
    const data = devices.length === 0 ? null : devices.map((path) => `device=${path}`).join(",");
    if ((data?.length ?? 0) > MOUNT_DATA_BYTES_MAX) {
      throw invalid(
        `the ${devices.length} devices of a layer need ${data!.length} bytes of mount options, ` +
          `more than the ${MOUNT_DATA_BYTES_MAX} there are`,
      );
    }
    this.steps.push(
      { do: "folder", path: target, mode: 0o700 },
      { do: "mount", source, target, fstype: "erofs", flags: MS.RDONLY, data },
    );
    return name;
  }

  /**
   * A partition, since a second EROFS mount of one device is the first one again, whatever offset
   * it asks for. Numbered in the order of the layers.
   */
  #cut({ serial, offsetBytes, lengthBytes }: guest.BlockDevice): string {
    const isWhole = (bytes: bigint) => bytes % SECTOR_BYTES === 0n && bytes <= DISK_BYTES_MAX;
    if (lengthBytes === 0n || !isWhole(offsetBytes) || !isWhole(lengthBytes)) {
      throw invalid(`${lengthBytes} bytes at ${offsetBytes} are no part of disk ${serial}`);
    }
    const disk = checkedDisk(serial, this.#diskOf);
    const number = (this.#partitions.get(serial) ?? 0) + 1;
    if (number > PARTITIONS_MAX) {
      throw invalid(`disk ${serial} has more than ${PARTITIONS_MAX} layers`);
    }
    this.#partitions.set(serial, number);
    const [offset, length] = [Number(offsetBytes), Number(lengthBytes)];
    this.steps.push({ do: "partition", disk, number, offset, length });
    return `${disk}${number}`;
  }
}

function rootfsSteps(
  path: string,
  lower: string[],
  request: guest.CreateBundleRequest,
  diskOf: DiskOf,
): BundleStep[] {
  const target = `${path}/rootfs`;
  const overlay = (data: string, flags: number): BundleStep => {
    if (data.length > MOUNT_DATA_BYTES_MAX) {
      throw invalid(
        `${lower.length} layers need ${data.length} bytes of mount options, ` +
          `more than the ${MOUNT_DATA_BYTES_MAX} there are`,
      );
    }
    const mount = {
      do: "mount",
      source: "overlay",
      target,
      fstype: "overlay",
      flags,
      data,
    } as const;
    // Layers are named from the bundle, so that as many as overlayfs takes fit into a page.
    return { ...mount, workingDirectory: path };
  };
  const lowerdir = `lowerdir=${lower.join(":")}`;

  const writable = request.rootfs?.writable;
  if (writable === undefined) {
    const [only, ...others] = lower;
    return others.length > 0 ? [overlay(lowerdir, MS.RDONLY)] : [{
      // overlayfs wants two layers at least; the share itself is read-only
      do: "mount",
      source: `${path}/${only}`,
      target,
      fstype: null,
      flags: MS.BIND,
      data: null,
    }];
  }

  const upper = `${path}/writable`;
  const mounted = writableSteps(path, writable, diskOf);
  if (lower.length === 0) {
    const flags = MS.BIND;
    return [
      ...mounted,
      { do: "keep", path: `${upper}/upper`, mode: 0o755 },
      { do: "mount", source: `${upper}/upper`, target, fstype: null, flags, data: null },
    ];
  }
  const folders: BundleStep[] = writable.kind.case === "snapshot"
    // As containerd would make both: it refuses to go on with a folder of another mode.
    ? ["upper", "work"].map((name) => ({ do: "keep", path: `${upper}/${name}`, mode: 0o755 }))
    : [
      { do: "folder", path: `${upper}/upper`, mode: 0o755 },
      { do: "folder", path: `${upper}/work`, mode: 0o700 },
    ];
  return [
    ...mounted,
    ...folders,
    overlay(`${lowerdir},upperdir=${upper}/upper,workdir=${upper}/work`, 0),
  ];
}

function fileSteps(path: string, request: guest.CreateBundleRequest): BundleStep[] {
  if (request.files.length > FILES_MAX) {
    throw invalid(`${request.files.length} files, more than ${FILES_MAX}`);
  }
  const names = new Set(RESERVED_NAMES);
  return request.files.map(({ name, content, mode }) => {
    if (!FILE_NAME.test(name)) throw invalid(`invalid file name ${quoted(name)}`);
    if (names.has(name)) throw invalid(`the file name ${quoted(name)} is taken`);
    names.add(name);
    return { do: "file", path: `${path}/${name}`, content, mode: mode & 0o7777 };
  });
}

/**
 * config.json for crun: as it is, but for limits of disks. Checks of it what vminitd itself relies on;
 * crun checks the rest.
 */
function configFor(json: Uint8Array, ownDisks: () => readonly DeviceNumbers[]): Uint8Array {
  let text: string, config: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(json);
    config = JSON.parse(text);
  } catch (error) {
    throw invalid(`config.json: ${error instanceof Error ? error.message : error}`);
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw invalid("config.json: not an object");
  }
  const rootPath = (config as { root?: { path?: unknown } | null }).root?.path;
  if (rootPath !== "rootfs") {
    throw invalid(`config.json: root.path is ${quoted(String(rootPath))} instead of "rootfs"`);
  }
  if (!mentionsThrottles(text)) return json;
  return encodeOciJson(withOwnLimits(parseOciJson(text) as JsonObject, ownDisks));
}

function withOwnLimits(
  config: JsonObject,
  ownDisks: () => readonly DeviceNumbers[],
): JsonObject {
  const linux = config["linux"] as JsonObject | undefined;
  const resources = linux?.["resources"] as JsonObject | undefined;
  if (resources === undefined || resources === null) return config;
  return { ...config, linux: { ...linux, resources: limitsOfOwnDisks(resources, ownDisks) } };
}
