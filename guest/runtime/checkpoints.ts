import { Code, type guest, RpcError } from "../../proto/mod.ts";
import { quoted } from "../base/ids.ts";

/** Folder of all checkpoints. On a tmpfs: what is in one takes of the guest's memory. */
export const CHECKPOINTS_FOLDER = "/run/qemubox/checkpoints";

/** Most bytes that one read answers: a message has room for four times that. */
export const READ_BYTES_MAX = 1_048_576;

// Both become names of files here.
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/** The checkpoints that are on their way out of this guest or into it: flat folders of files. */
export class Checkpoints {
  readonly #root: string;

  constructor(root: string = CHECKPOINTS_FOLDER) {
    this.#root = root;
  }

  /**
   * Makes an empty one and returns its folder.
   *
   * @throws {RpcError} InvalidArgument, AlreadyExists
   */
  create(name: string): string {
    const folder = this.#folder(name);
    Deno.mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    try {
      Deno.mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new RpcError(Code.AlreadyExists, `checkpoint ${quoted(name)} already exists`);
    }
    return folder;
  }

  /** The folder of one. @throws {RpcError} InvalidArgument, NotFound */
  pathOf(name: string): string {
    const folder = this.#folder(name);
    try {
      if (Deno.lstatSync(folder).isDirectory) return folder;
    } catch {
      // not there
    }
    throw new RpcError(Code.NotFound, `no checkpoint ${quoted(name)}`);
  }

  /** @throws {RpcError} InvalidArgument, NotFound */
  list(name: string): { name: string; sizeBytes: bigint }[] {
    const folder = this.pathOf(name);
    return [...Deno.readDirSync(folder)]
      .map((entry) => Deno.lstatSync(`${folder}/${entry.name}`).isFile ? entry.name : null)
      .filter((file) => file !== null)
      .map((file) => ({ name: file, sizeBytes: BigInt(Deno.statSync(`${folder}/${file}`).size) }));
  }

  /** @throws {RpcError} InvalidArgument, NotFound */
  read({ name, file, offsetBytes, lengthBytes }: guest.ReadCheckpointRequest): Uint8Array {
    const path = `${this.pathOf(name)}/${checkedFile(file)}`;
    const buffer = new Uint8Array(Math.min(lengthBytes, READ_BYTES_MAX));
    using opened = Deno.openSync(path);
    opened.seekSync(offsetBytes, Deno.SeekMode.Start);
    return buffer.subarray(0, opened.readSync(buffer) ?? 0);
  }

  /** Makes what is not there yet. @throws {RpcError} InvalidArgument */
  write({ name, file, offsetBytes, data }: guest.WriteCheckpointRequest): void {
    const folder = this.#folder(name);
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = `${folder}/${checkedFile(file)}`;
    using opened = Deno.openSync(path, { write: true, create: true, mode: 0o600 });
    opened.seekSync(offsetBytes, Deno.SeekMode.Start);
    for (let done = 0; done < data.length;) done += opened.writeSync(data.subarray(done));
  }

  /** One that is not there is fine. @throws {RpcError} InvalidArgument */
  delete(name: string): void {
    try {
      Deno.removeSync(this.#folder(name), { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #folder(name: string): string {
    if (NAME.test(name)) return `${this.#root}/${name}`;
    throw new RpcError(Code.InvalidArgument, `invalid name ${quoted(name)} of a checkpoint`);
  }
}

function checkedFile(file: string): string {
  if (NAME.test(file)) return file;
  throw new RpcError(Code.InvalidArgument, `invalid name ${quoted(file)} of a checkpoint's file`);
}
