import { ifPresent, isThere, quoted, removeIfPresent } from "../../base/mod.ts";
import { Code, type guest, RpcError } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";

/** Directory of all checkpoints. On a tmpfs: their files take the guest's memory. */
export const CHECKPOINTS_DIRECTORY = "/run/qemubox/checkpoints";

/** Limit of one read: a message has room for four times that. */
export const READ_BYTES_MAX = 1_048_576;

// Names of checkpoints and of their files become file names.
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/** The checkpoints on their way out of this guest or into it: flat directories of files. */
export class Checkpoints {
  readonly #root: string;

  constructor(root: string = CHECKPOINTS_DIRECTORY) {
    this.#root = root;
  }

  /**
   * Makes an empty checkpoint and returns its directory.
   *
   * @throws {RpcError} InvalidArgument, AlreadyExists
   */
  create(name: string): string {
    const directory = this.#directory(name);
    Deno.mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    if (isThere(directory)) {
      throw new RpcError(Code.AlreadyExists, `checkpoint ${quoted(name)} already exists`);
    }
    Deno.mkdirSync(directory, { mode: 0o700 });
    return directory;
  }

  /**
   * Returns the directory of a checkpoint. A missing one is not NotFound: containerd, which gets
   * the code from the shim, would take that for a container that is gone.
   *
   * @throws {RpcError} InvalidArgument, FailedPrecondition: no such checkpoint
   */
  pathOf(name: string): string {
    const directory = this.#directory(name);
    if (ifPresent(() => Deno.lstatSync(directory))?.isDirectory) return directory;
    throw new RpcError(Code.FailedPrecondition, `no checkpoint ${quoted(name)}`);
  }

  /** @throws {RpcError} InvalidArgument, FailedPrecondition: no such checkpoint */
  list(name: string): { name: string; sizeBytes: bigint }[] {
    const directory = this.pathOf(name);
    return [...Deno.readDirSync(directory)]
      .filter(({ isFile }) => isFile)
      .map(({ name }) => ({
        name,
        sizeBytes: BigInt(Deno.statSync(`${directory}/${name}`).size),
      }));
  }

  /** @throws {RpcError} InvalidArgument, FailedPrecondition: no such checkpoint */
  read({ name, file, offsetBytes, lengthBytes }: guest.ReadCheckpointRequest): Uint8Array {
    const path = `${this.pathOf(name)}/${checkedFile(file)}`;
    const buffer = new Uint8Array(Math.min(lengthBytes, READ_BYTES_MAX));
    using opened = Deno.openSync(path);
    opened.seekSync(offsetBytes, Deno.SeekMode.Start);
    return buffer.subarray(0, opened.readSync(buffer) ?? 0);
  }

  /** Makes checkpoint and file unless they exist. @throws {RpcError} InvalidArgument */
  write({ name, file, offsetBytes, data }: guest.WriteCheckpointRequest): void {
    const directory = this.#directory(name);
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = `${directory}/${checkedFile(file)}`;
    using opened = Deno.openSync(path, { write: true, create: true, mode: 0o600 });
    opened.seekSync(offsetBytes, Deno.SeekMode.Start);
    for (let done = 0; done < data.length;) done += opened.writeSync(data.subarray(done));
  }

  /** Deletes a checkpoint, unless it is gone already. @throws {RpcError} InvalidArgument */
  delete(name: string): void {
    removeIfPresent(this.#directory(name), { recursive: true });
  }

  #directory(name: string): string {
    if (NAME.test(name)) return `${this.#root}/${name}`;
    throw invalid(`invalid checkpoint name ${quoted(name)}`);
  }
}

function checkedFile(file: string): string {
  if (NAME.test(file)) return file;
  throw invalid(`invalid checkpoint file name ${quoted(file)}`);
}
