import { ifPresent, MIB, oneLine, removeIfPresent } from "../../base/mod.ts";
import { Child, type Fd, isSystemError, O, type System, SystemError } from "../../ffi/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { isFull, unwritable } from "../base/unwritable.ts";
import { MKFS_ARGUMENTS, templatePath } from "../plan/disk_template.ts";

/**
 * Disk of a container's writable layer: a sparse file with ext4 in the state directory, without a
 * name. It belongs to the processes that have it open, shim and QEMU, and is gone with the last of
 * them, however they end (open(2), O_TMPFILE).
 *
 * It is a copy of a template, which mkfs.ext4 makes for the first disk of a size: of its gigabytes,
 * some dozens of kilobytes are data. See docs/adr/0007.
 */
export interface WritableDisk {
  readonly stateDir: string;
  readonly mib: number;
  /** Path of mkfs.ext4; null if the template exists. */
  readonly mkfsPath: string | null;
}

/** A template depends on neither the host's configuration nor the time. */
const MKFS_ENVIRONMENT = { MKE2FS_CONFIG: "/dev/null", E2FSPROGS_FAKE_TIME: "1", LC_ALL: "C" };
/** A template of 16 TiB has 30 MiB of data. More data means a file system without holes. */
const DATA_BYTES_MAX = 64 * MIB;
const COPY_BYTES = 256 * 1024;
/** Each requested size makes a template. */
const TEMPLATES_MAX = 16;
const MESSAGE_BYTES_MAX = 1024;

/**
 * Makes a disk.
 *
 * @returns a descriptor of the caller's, open for reading and writing.
 * @throws {RefusedError} `host` or `aborted`, naming the file, directory or program.
 * @throws {SystemError}
 */
export async function makeWritableDisk(system: System, disk: WritableDisk): Promise<Fd> {
  try {
    return await makeDisk(system, disk);
  } catch (error) {
    if (!isFull(error)) throw error;
    throw unwritable(`state directory ${disk.stateDir}`, "state_dir", error);
  }
}

async function makeDisk(system: System, disk: WritableDisk): Promise<Fd> {
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

/** Another shim may make the same template at the same time: the last one renamed stays. */
async function makeTemplate(system: System, disk: WritableDisk, path: string): Promise<void> {
  const { mkfsPath, mib } = disk;
  // The template existed when this container was planned.
  if (mkfsPath === null) {
    throw new RefusedError("aborted", `disk template ${path}`, "was just removed", "try again");
  }
  const directory = path.slice(0, path.lastIndexOf("/"));
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  removeOldTemplates(directory);
  const unfinished = `${directory}/.${crypto.randomUUID()}`;
  try {
    Deno.writeFileSync(unfinished, new Uint8Array(), { createNew: true, mode: 0o600 });
    Deno.truncateSync(unfinished, mib * MIB);
    await runMkfs(system, mkfsPath, unfinished);
    Deno.renameSync(unfinished, path);
  } finally {
    removeIfPresent(unfinished);
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
  const output = new TextDecoder().decode(into.subarray(0, system.readAt(messages, into, 0)));
  const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
  if (output.includes("No space left on device")) throw new SystemError(path, "ENOSPC");
  const why = `failed with ${how}: ${oneLine(output, MESSAGE_BYTES_MAX)}`;
  throw new RefusedError("failed", `writable disk: ${path}`, why);
}

/** Removes all but the newest templates, and unfinished ones of killed shims with them. */
function removeOldTemplates(directory: string): void {
  const files = [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`)
    .flatMap((path) => {
      const time = ifPresent(() => Deno.lstatSync(path))?.mtime?.getTime();
      return time === undefined ? [] : [{ path, time }];
    }).sort((one, other) => other.time - one.time);
  for (const { path } of files.slice(TEMPLATES_MAX - 1)) removeIfPresent(path);
}

function openNameless(system: System, directory: string): Fd {
  try {
    return system.open(directory, O.TMPFILE | O.RDWR, 0o600);
  } catch (error) {
    if (!isSystemError(error, "EOPNOTSUPP", "EISDIR")) throw error;
  }
  // A file system without O_TMPFILE (NFS): the file has a name for a moment.
  const path = `${directory}/.${crypto.randomUUID()}`;
  const fd = system.open(path, O.RDWR | O.CREAT | O.EXCL, 0o600);
  try {
    Deno.removeSync(path);
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return fd;
}

/** Copies the data of `from`; its holes stay holes up to `bytes`. */
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
        throw new RefusedError(
          "host",
          "file system of state_dir",
          "keeps no holes in files",
          "set state_dir to a directory of another one, or writable to tmpfs",
        );
      }
      for (let done = 0; done < count;) done += target.writeSync(part.subarray(done, count));
      at += count;
    }
  }
}
