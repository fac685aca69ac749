import { quoted } from "../../base/mod.ts";
import { encodeOciJson, type guest } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import { checkedContainerId } from "../base/ids.ts";
import { type JsonObject, parseOciObject } from "../runtime/oci_json.ts";
import { type DeviceNumbers, limitsOfOwnDisks } from "./block_limits.ts";
import type { BundlePlan, BundleStep } from "./bundle_step.ts";
import { LayerImages } from "./layer_images.ts";
import { rootfsSteps } from "./rootfs_steps.ts";
import { ShareMounts } from "./share_mounts.ts";
import { type DiskOf } from "./writable_steps.ts";

/** Directory of all bundles. */
export const BUNDLES_DIRECTORY = "/run/qemubox/bundles";

/** overlayfs's own limit of layers. */
const LAYERS_MAX = 500;
/** Limit of extra files in a bundle. */
const FILES_MAX = 64;

/** Names in a bundle's directory that vminitd and crun use. */
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

/**
 * Plans the bundle of `request`: a directory with `config.json`, the extra files, and `rootfs`, an
 * overlay of the read-only layers below the writable layer (without one, the root file system is
 * read-only). Pure but for `diskOf` and `ownDisks`.
 *
 * @param root the directory of all bundles
 * @param ownDisks returns the container's disks
 * @throws {RpcError} InvalidArgument; FailedPrecondition: no such disk
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
  if (layers.length === 0 && !isSnapshot) throw invalid("root file system has no layer");
  if (layers.length > LAYERS_MAX) {
    throw invalid(`${layers.length} layers exceed overlayfs's limit of ${LAYERS_MAX}`);
  }
  const shares = new ShareMounts(`${path}/shares`);
  for (const share of request.shares) shares.mount(share);
  const images = new LayerImages(path, shares, diskOf);
  const lower = layers.map((layer) => images.pathOf(layer));

  return {
    id,
    path,
    steps: [
      { do: "directory", path, mode: 0o711 },
      { do: "file", path: `${path}/config.json`, content, mode: 0o600 },
      ...fileSteps(path, request),
      { do: "directory", path: `${path}/shares`, mode: 0o700 },
      ...shares.steps,
      { do: "directory", path: `${path}/layers`, mode: 0o700 },
      ...images.steps,
      { do: "directory", path: `${path}/rootfs`, mode: 0o755 },
      ...rootfsSteps(path, lower, request.rootfs?.writable, diskOf),
    ],
    snapshot: isSnapshot ? `${path}/writable` : null,
  };
}

function fileSteps(path: string, request: guest.CreateBundleRequest): BundleStep[] {
  if (request.files.length > FILES_MAX) {
    throw invalid(`${request.files.length} files exceed the limit of ${FILES_MAX}`);
  }
  const names = new Set(RESERVED_NAMES);
  return request.files.map(({ name, content, mode }) => {
    if (!FILE_NAME.test(name)) throw invalid(`invalid file name ${quoted(name)}`);
    if (names.has(name)) throw invalid(`file name ${quoted(name)} is taken`);
    names.add(name);
    return { do: "file", path: `${path}/${name}`, content, mode: mode & 0o7777 };
  });
}

/**
 * Returns config.json for crun: unchanged, except for limits of disks. Checks only what vminitd
 * itself relies on; crun checks the rest.
 */
function configFor(json: Uint8Array, ownDisks: () => readonly DeviceNumbers[]): Uint8Array {
  const config = parseOciObject(json, "config.json");
  const rootPath = (config["root"] as { path?: unknown } | null | undefined)?.path;
  if (rootPath !== "rootfs") {
    throw invalid(`config.json: root.path is ${quoted(String(rootPath))} instead of "rootfs"`);
  }
  const limited = withOwnLimits(config, ownDisks);
  return limited === config ? json : encodeOciJson(limited);
}

function withOwnLimits(config: JsonObject, ownDisks: () => readonly DeviceNumbers[]): JsonObject {
  const linux = config["linux"] as JsonObject | null | undefined;
  const resources = linux?.["resources"] as JsonObject | null | undefined;
  if (resources === undefined || resources === null) return config;
  const limited = limitsOfOwnDisks(resources, ownDisks);
  return limited === resources ? config : { ...config, linux: { ...linux, resources: limited } };
}
