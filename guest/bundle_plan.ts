import { MS } from "../ffi/mod.ts";
import { Code, type guest, RpcError } from "../proto/mod.ts";
import { checkedContainerId, quoted } from "./ids.ts";

/** Folder of all bundles. */
export const BUNDLES_FOLDER = "/run/qemubox/bundles";

/** Most layers of a root file system: overlayfs's own limit is 500. */
export const LAYERS_MAX = 500;
/** Most extra files in a bundle. */
export const FILES_MAX = 64;
/** mount(2) takes one page of options, its last byte being the terminator. */
export const MOUNT_DATA_BYTES_MAX = 4_095;

/** One thing to do, in order. Undone backwards: unmount what was mounted, then remove the folder. */
export type BundleStep =
  | { readonly do: "folder"; readonly path: string; readonly mode: number }
  | {
    readonly do: "file";
    readonly path: string;
    readonly content: Uint8Array;
    readonly mode: number;
  }
  /** Enters a folder, so that what the host has mounted there is mounted here as well. */
  | { readonly do: "enter"; readonly path: string }
  | {
    readonly do: "mount";
    readonly source: string;
    readonly target: string;
    readonly fstype: string | null;
    readonly flags: number;
    readonly data: string | null;
  };

/** How a bundle is made. */
export interface BundlePlan {
  readonly id: string;
  /** The bundle's folder. */
  readonly path: string;
  readonly steps: readonly BundleStep[];
}

/** Names in a bundle's folder that are taken. */
const RESERVED_NAMES = new Set(["config.json", "rootfs", "shares", "writable", "pid"]);
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;
// A virtio-fs tag has 36 bytes.
const TAG = /^[A-Za-z0-9._-]{1,36}$/;
// No character that overlayfs's options give a meaning to (":", ",", "\").
const SUBDIRECTORY = /^[A-Za-z0-9._@+-]+(?:\/[A-Za-z0-9._@+-]+)*$/;

/**
 * What has to be done for `request`: a folder with `config.json`, the extra files, and `rootfs`, an
 * overlay of the read-only layers below a writable tmpfs (none: the root file system is read-only).
 *
 * @throws {RpcError} InvalidArgument, Unimplemented
 */
export function planBundle(
  request: guest.CreateBundleRequest,
  root: string = BUNDLES_FOLDER,
): BundlePlan {
  const id = checkedContainerId(request.id);
  const path = `${root}/${id}`;
  checkConfig(request.configJson);

  const layers = request.rootfs?.lower ?? [];
  if (layers.length === 0) throw invalid("the root file system has no layer");
  if (layers.length > LAYERS_MAX) {
    throw invalid(`${layers.length} layers, more than the ${LAYERS_MAX} that overlayfs takes`);
  }
  const shares = new Shares(`${path}/shares`);
  const lower = layers.map((layer) => shares.pathOf(layer));

  return {
    id,
    path,
    steps: [
      { do: "folder", path, mode: 0o711 },
      { do: "file", path: `${path}/config.json`, content: request.configJson, mode: 0o600 },
      ...fileSteps(path, request),
      { do: "folder", path: `${path}/shares`, mode: 0o700 },
      ...shares.steps,
      { do: "folder", path: `${path}/rootfs`, mode: 0o755 },
      ...rootfsSteps(path, lower, request),
    ],
  };
}

/** Each share is mounted once, whatever number of layers lies on it. */
class Shares {
  readonly steps: BundleStep[] = [];
  readonly #folder: string;
  readonly #mounted = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where `layer` is to be found once the steps are done. */
  pathOf(layer: guest.Layer): string {
    const { source } = layer;
    if (source.case === undefined) throw invalid("a layer has no source");
    if (source.case === "block") {
      throw new RpcError(Code.Unimplemented, "layers on block devices are not implemented");
    }
    const { tag, subdirectory } = source.value;
    if (!TAG.test(tag)) throw invalid(`invalid virtio-fs tag ${quoted(tag)}`);
    const folder = this.#mounted.get(tag) ?? this.#mount(tag);
    if (subdirectory === "") return folder;
    if (!SUBDIRECTORY.test(subdirectory) || subdirectory.split("/").includes("..")) {
      throw invalid(`invalid subdirectory ${quoted(subdirectory)} of ${tag}`);
    }
    const path = `${folder}/${subdirectory}`;
    // virtiofsd announces mounts of the host; until they are entered, overlayfs refuses them.
    this.steps.push({ do: "enter", path });
    return path;
  }

  #mount(tag: string): string {
    const target = `${this.#folder}/${this.#mounted.size}`;
    this.#mounted.set(tag, target);
    this.steps.push(
      { do: "folder", path: target, mode: 0o700 },
      { do: "mount", source: tag, target, fstype: "virtiofs", flags: MS.RDONLY, data: null },
    );
    return target;
  }
}

function rootfsSteps(
  path: string,
  lower: string[],
  request: guest.CreateBundleRequest,
): BundleStep[] {
  const target = `${path}/rootfs`;
  const overlay = (data: string, flags: number): BundleStep => {
    if (data.length > MOUNT_DATA_BYTES_MAX) {
      throw invalid(
        `${lower.length} layers need ${data.length} bytes of mount options, ` +
          `more than the ${MOUNT_DATA_BYTES_MAX} there are`,
      );
    }
    return { do: "mount", source: "overlay", target, fstype: "overlay", flags, data };
  };
  const lowerdir = `lowerdir=${lower.join(":")}`;

  const writable = request.rootfs?.writable;
  if (writable === undefined) {
    const [only, ...others] = lower;
    return others.length > 0 ? [overlay(lowerdir, MS.RDONLY)] : [{
      // overlayfs wants two layers at least; the share itself is read-only
      do: "mount",
      source: only as string,
      target,
      fstype: null,
      flags: MS.BIND,
      data: null,
    }];
  }
  if (writable.kind.case === undefined) throw invalid("the writable layer is of no kind");

  const upper = `${path}/writable`;
  const { sizeBytes } = writable.kind.value;
  return [
    { do: "folder", path: upper, mode: 0o700 },
    {
      do: "mount",
      source: "tmpfs",
      target: upper,
      fstype: "tmpfs",
      flags: 0,
      data: sizeBytes > 0n ? `mode=0700,size=${sizeBytes}` : "mode=0700",
    },
    { do: "folder", path: `${upper}/upper`, mode: 0o755 },
    { do: "folder", path: `${upper}/work`, mode: 0o700 },
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

/** Checks of config.json what vminitd itself relies on; crun checks the rest. */
function checkConfig(json: Uint8Array): void {
  let config: unknown;
  try {
    config = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
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
}

function invalid(message: string): RpcError {
  return new RpcError(Code.InvalidArgument, message);
}
