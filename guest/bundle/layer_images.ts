import { MS } from "../../ffi/mod.ts";
import type { guest } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import { type BundleStep, MOUNT_DATA_BYTES_MAX } from "./bundle_step.ts";
import type { ShareMounts } from "./share_mounts.ts";
import { checkedDisk, type DiskOf } from "./writable_steps.ts";

/** The kernel's limit of partition numbers (DISK_MAX_PARTS). */
const PARTITIONS_MAX = 255;
const SECTOR_BYTES = 512n;
/** A sanity limit: 8 PiB, which a JavaScript number holds exactly. */
const DISK_BYTES_MAX = 1n << 53n;

/**
 * The layers of a root file system: directories of a share, EROFS files of a share, or parts of a
 * disk.
 */
export class LayerImages {
  readonly steps: BundleStep[] = [];
  readonly #path: string;
  readonly #shares: ShareMounts;
  readonly #diskOf: DiskOf;
  readonly #partitions = new Map<string, number>();
  #mounted = 0;

  /** @param path the bundle's directory */
  constructor(path: string, shares: ShareMounts, diskOf: DiskOf) {
    this.#path = path;
    this.#shares = shares;
    this.#diskOf = diskOf;
  }

  /**
   * Returns the path of `layer`, relative to the bundle, once the steps are done.
   *
   * @throws {RpcError} InvalidArgument; FailedPrecondition: no such disk
   */
  pathOf({ source, devices }: guest.Layer): string {
    if (source.case !== "virtiofs") {
      const image = this.#imageOf(source);
      return this.#mount(image, devices.map((device) => this.#imageOf(device.source)));
    }
    const path = this.#shares.pathOf(source.value);
    // virtiofsd announces the host's mounts; overlayfs refuses them until they are entered.
    if (source.value.subdirectory !== "") this.steps.push({ do: "enter", path });
    return path.slice(this.#path.length + 1);
  }

  /** Returns the device or file of an image. */
  #imageOf(source: guest.LayerDevice["source"]): string {
    if (source.case === "file") return this.#shares.pathOf(source.value);
    if (source.case === "block") return this.#addPartition(source.value);
    throw invalid("layer has no source");
  }

  #mount(source: string, devices: readonly string[]): string {
    const name = `layers/${this.#mounted++}`;
    const target = `${this.#path}/${name}`;
    const data = devices.length === 0 ? null : devices.map((path) => `device=${path}`).join(",");
    if ((data?.length ?? 0) > MOUNT_DATA_BYTES_MAX) {
      throw invalid(
        `${devices.length} devices of a layer need ${data!.length} bytes of mount options, ` +
          `more than the limit of ${MOUNT_DATA_BYTES_MAX}`,
      );
    }
    this.steps.push(
      { do: "directory", path: target, mode: 0o700 },
      { do: "mount", source, target, fstype: "erofs", flags: MS.RDONLY, data },
    );
    return name;
  }

  /**
   * Adds a partition, because a second EROFS mount of one device is the first one again, whatever
   * offset it asks for. Partitions are numbered in the order of the layers.
   */
  #addPartition({ serial, offsetBytes, lengthBytes }: guest.BlockDevice): string {
    const isWhole = (bytes: bigint) => bytes % SECTOR_BYTES === 0n && bytes <= DISK_BYTES_MAX;
    if (lengthBytes === 0n || !isWhole(offsetBytes) || !isWhole(lengthBytes)) {
      const part = `${lengthBytes} bytes at ${offsetBytes}`;
      throw invalid(`${part} are not a valid part of disk ${serial}`);
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
