import { MIB, quoted } from "../../base/mod.ts";
import { answered, type GuestConnection } from "./guest_connection.ts";
import { GuestError } from "./guest_error.ts";

/** Bytes in one message, a quarter of its limit. */
const CHUNK_BYTES = MIB;
/** CRIU writes some 50 files for one process and 3 for each further one. */
const FILES_MAX = 65_536;
/** A message of 1 MiB takes a guest under TCG about 0.1 s. Milliseconds. */
const CALL_TIMEOUT_MS = 30_000;

// File names of the guest become file names of the host.
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/** A checkpoint in the guest. */
export interface GuestCheckpoint {
  readonly guest: Pick<GuestConnection, "checkpoints">;
  /** Its name in the guest. */
  readonly name: string;
}

/**
 * Copies the files of a checkpoint from the guest into `directory`, which is created if absent. A
 * failure leaves none of them. Never overwrites a file.
 *
 * @param bytesMax limit of all files together: a guest holds them in its memory.
 * @param signal gives it up, as a failure.
 * @throws {GuestError}
 * @throws {Error} of the file system, naming the file.
 */
export async function fetchCheckpoint(
  { guest, name }: GuestCheckpoint,
  directory: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<void> {
  await using made = new AsyncDisposableStack();
  const { files } = await answered("Checkpoints.List", CALL_TIMEOUT_MS, (timeoutMs) => {
    return guest.checkpoints.list({ name }, { signal, timeoutMs });
  });
  checkList(files, bytesMax);
  await makeDirectory(directory, made);
  for (const { name: file, sizeBytes } of files) {
    const path = `${directory}/${file}`;
    using target = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    made.defer(() => Deno.remove(path));
    for (let offset = 0n; offset < sizeBytes;) {
      const left = sizeBytes - offset;
      const length = left < CHUNK_BYTES ? Number(left) : CHUNK_BYTES;
      const { data } = await answered("Checkpoints.Read", CALL_TIMEOUT_MS, (timeoutMs) => {
        const part = { name, file, offsetBytes: offset, lengthBytes: length };
        return guest.checkpoints.read(part, { signal, timeoutMs });
      });
      if (data.length === 0 || data.length > length) {
        throw hostile(`answered ${data.length} bytes of ${file} instead of ${length}`);
      }
      await writeAll(target, data);
      offset += BigInt(data.length);
    }
  }
  made.move();
}

/**
 * Copies the files in `directory` into a checkpoint of the guest. Skips subdirectories.
 *
 * @throws {GuestError}
 * @throws {Error} of the file system, naming the file.
 */
export async function sendCheckpoint(
  { guest, name }: GuestCheckpoint,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  for await (const { name: file, isFile } of Deno.readDir(directory)) {
    if (!isFile) continue;
    using source = await Deno.open(`${directory}/${file}`);
    let offsetBytes = 0n;
    const buffer = new Uint8Array(CHUNK_BYTES);
    do {
      const data = buffer.subarray(0, await source.read(buffer) ?? 0);
      if (data.length === 0 && offsetBytes > 0n) break;
      await answered("Checkpoints.Write", CALL_TIMEOUT_MS, (timeoutMs) => {
        return guest.checkpoints.write({ name, file, offsetBytes, data }, { signal, timeoutMs });
      });
      offsetBytes += BigInt(data.length);
    } while (offsetBytes > 0n);
  }
}

function checkList(
  files: readonly { readonly name: string; readonly sizeBytes: bigint }[],
  bytesMax: number,
): void {
  if (files.length > FILES_MAX) throw hostile(`has ${files.length} files`);
  const bad = files.find(({ name }) => !FILE_NAME.test(name));
  if (bad !== undefined) throw hostile(`has a file ${quoted(bad.name)}`);
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
  if (bytes > BigInt(bytesMax)) {
    throw hostile(`has ${bytes} bytes, more than the guest's memory`);
  }
}

function hostile(what: string): GuestError {
  return GuestError.hostile(`guest's checkpoint ${what}`);
}

async function makeDirectory(path: string, made: AsyncDisposableStack): Promise<void> {
  try {
    await Deno.mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    throw error;
  }
  made.defer(() => Deno.remove(path));
}

async function writeAll(file: Deno.FsFile, data: Uint8Array): Promise<void> {
  for (let done = 0; done < data.length;) done += await file.write(data.subarray(done));
}
