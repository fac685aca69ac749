import { MKFS_ARGUMENTS, templatePath } from "../plan/disk_template.ts";
import { Child, type Fd, isSystemError, O, type System, SystemError } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";

/**
 * The disk that a container's writable layer lies on: a sparse file in the state folder with an ext4
 * on it, and no name. It belongs to whoever has it open, the shim and QEMU, and is gone with the last
 * of them, whatever ends them (open(2), O_TMPFILE).
 *
 * It is a copy of a template, which mkfs.ext4 makes when the first disk of a size is asked for: of its
 * gigabytes some dozens of kilobytes are data. See docs/adr/0007.
 */

/** What a disk is made of. */
export interface WritableDisk {
  readonly stateDir: string;
  readonly mib: number;
  /** mkfs.ext4; null: the template is there. */
  readonly mkfsPath: string | null;
}

/** No configuration of the host's, and no time, goes into a template. */
const MKFS_ENVIRONMENT = { MKE2FS_CONFIG: "/dev/null", E2FSPROGS_FAKE_TIME: "1", LC_ALL: "C" };
const MIB = 1024 * 1024;
/** A template of 16 TiB has 30 MiB of data; what has more lies where there are no holes. */
const DATA_BYTES_MAX = 64 * MIB;
const COPY_BYTES = 256 * 1024;
/** Each size that somebody asks for makes one. */
const TEMPLATES_MAX = 16;
const MESSAGE_BYTES_MAX = 1024;

/**
 * Makes a disk.
 * @returns a descriptor, the caller's, open for reading and writing.
 * @throws RpcError that names the folder, SystemError.
 */
export async function makeWritableDisk(system: System, disk: WritableDisk): Promise<Fd> {
  using stack = new DisposableStack();
  const template = await openTemplate(system, disk);
  stack.defer(() => system.close(template));
  using undo = new DisposableStack();
  const fd = openNameless(system, disk.stateDir);
  undo.defer(() => system.close(fd));
  copyData(system, template, fd, disk.mib * MIB);
  undo.move();
  return fd;
}

async function openTemplate(system: System, disk: WritableDisk): Promise<Fd> {
  const path = templatePath(disk);
  try {
    return system.open(path, O.RDONLY);
  } catch (error) {
    if (!isSystemError(error, "ENOENT")) throw error;
  }
  await makeTemplate(system, disk, path);
  return system.open(path, O.RDONLY);
}

/** Another shim may make the same one at the same time: whichever is renamed last stays. */
async function makeTemplate(system: System, disk: WritableDisk, path: string): Promise<void> {
  const { mkfsPath, mib } = disk;
  // It was there when this container was planned.
  if (mkfsPath === null) {
    throw new RpcError(Code.Aborted, `${path} was removed just now; try again`);
  }
  const folder = path.slice(0, path.lastIndexOf("/"));
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  removeOldTemplates(folder);
  const unfinished = `${folder}/.${crypto.randomUUID()}`;
  try {
    Deno.writeFileSync(unfinished, new Uint8Array(), { createNew: true, mode: 0o600 });
    Deno.truncateSync(unfinished, mib * MIB);
    await runMkfs(system, mkfsPath, unfinished);
    Deno.renameSync(unfinished, path);
  } finally {
    removeIfThere(unfinished);
  }
}

async function runMkfs(system: System, path: string, file: string): Promise<void> {
  using stack = new DisposableStack();
  const messages = system.memfd("mkfs");
  stack.defer(() => system.close(messages));
  const fds = { 1: messages, 2: messages };
  const command = { path, args: [...MKFS_ARGUMENTS, file], env: MKFS_ENVIRONMENT, cwd: "/", fds };
  const { code, signal } = await Child.spawn(command, { system }).exited;
  if (code === 0) return;
  const into = new Uint8Array(MESSAGE_BYTES_MAX);
  const said = new TextDecoder().decode(into.subarray(0, system.readAt(messages, into, 0))).trim();
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  throw new RpcError(
    Code.Internal,
    `the writable layer's disk: ${path} ended with ${how}: ${said}`,
  );
}

/** All but the newest, and what a shim that was killed has left unfinished. */
function removeOldTemplates(folder: string): void {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    .flatMap((path) => {
      const time = statOrNull(path)?.mtime?.getTime();
      return time === undefined ? [] : [{ path, time }];
    }).sort((one, other) => other.time - one.time);
  for (const { path } of files.slice(TEMPLATES_MAX - 1)) removeIfThere(path);
}

function openNameless(system: System, folder: string): Fd {
  try {
    return system.open(folder, O.TMPFILE | O.RDWR, 0o600);
  } catch (error) {
    if (!isSystemError(error, "EOPNOTSUPP", "EISDIR")) throw error;
  }
  // A file system without such files (NFS): it has a name for a moment.
  const path = `${folder}/.${crypto.randomUUID()}`;
  const fd = system.open(path, O.RDWR | O.CREAT | O.EXCL, 0o600);
  try {
    Deno.removeSync(path);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return fd;
}

/** Copies what is no hole; the rest of `bytes` are holes in the copy as well. */
function copyData(system: System, from: Fd, to: Fd, bytes: number): void {
  using target = Deno.openSync(`/proc/self/fd/${to}`, { write: true });
  target.truncateSync(bytes);
  const buffer = new Uint8Array(COPY_BYTES);
  let left = DATA_BYTES_MAX;
  for (let at = 0;;) {
    const data = system.nextData(from, at);
    if (data === null) return;
    target.seekSync(data.start, Deno.SeekMode.Start);
    for (at = data.start; at < data.end;) {
      const part = buffer.subarray(0, Math.min(buffer.length, data.end - at));
      const count = system.readAt(from, part, at);
      if (count === 0) throw new SystemError("pread", "EIO");
      if ((left -= count) < 0) {
        throw new RpcError(
          Code.FailedPrecondition,
          "the file system of the state folder keeps no holes in files: set state_dir to a folder of " +
            "another one, or writable to tmpfs",
        );
      }
      for (let done = 0; done < count;) done += target.writeSync(part.subarray(done, count));
      at += count;
    }
  }
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch {
    return null;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
