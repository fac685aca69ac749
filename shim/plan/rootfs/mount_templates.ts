import { RootfsError, type SnapshotMount } from "./snapshot_mount.ts";

/**
 * What containerd's mount manager, from 2.2 on, understands in the mounts of a snapshot, and what the
 * shim therefore has to when it claims it (mount_claims.ts): a type `format/…` has templates in source
 * and options that name the mounts before it, `mkdir/…` options that say which folders it needs. See
 * containerd's docs/mounts.md.
 */

/** What the mount manager takes off a type, one after the other. */
const PREFIX = /^(format|mkdir)\//;
const TEMPLATES = /\{\{[^{}]*\}\}/g;
const TEMPLATE = /^\{\{\s*(overlay|mount)\s+(\d{1,3})(?:\s+(\d{1,3}))?\s*\}\}$/;
const MKDIR = "X-containerd.mkdir.";
/** `path[:mode]`; no owner but root, as in containerd 2.4. */
const MKDIR_PATH = /^path=(\/[^:\0]*)(?::([0-7]{1,4})(?::0:0)?)?$/;
const MKDIR_MODE = 0o700;

/** A folder to be made, unless it is there. */
export interface PlannedFolder {
  readonly path: string;
  readonly mode: number;
}

/** A type without what the mount manager takes off it. */
export function plainType(type: string): string {
  const rest = type.replace(PREFIX, "");
  return rest === type ? type : plainType(rest);
}

/**
 * The mounts that a template stands for, in its order. The last one is the one that names them.
 * @throws RootfsError
 */
export function mountsOf(template: string, mounts: readonly SnapshotMount[]): SnapshotMount[] {
  return numbersOf(template, mounts.length - 1).map((number) => mounts[number]!);
}

/**
 * A mount as mount(2) knows it, and the folders that it needs.
 * @param places where the mounts before it are.
 * @throws RootfsError
 */
export function withoutTemplates(
  { type, source, options, ...rest }: SnapshotMount,
  places: readonly string[],
): SnapshotMount & { readonly folders: readonly PlannedFolder[] } {
  const filled = (text: string) => {
    const done = text.replaceAll(
      TEMPLATES,
      (template) => numbersOf(template, places.length).map((number) => places[number]).join(":"),
    );
    if (done.includes("{{")) throw notUnderstood(text);
    return done;
  };
  const folders = options.filter((option) => option.startsWith(MKDIR)).map(folderOf);
  return {
    ...rest,
    type: plainType(type),
    source: filled(source),
    options: options.filter((option) => !option.startsWith(MKDIR)).map(filled),
    folders,
  };
}

export function notUnderstood(template: string): RootfsError {
  return new RootfsError(
    `root file system: template ${JSON.stringify(template)} is not understood`,
  );
}

function folderOf(option: string): PlannedFolder {
  if (option.includes("{{")) {
    throw new RootfsError(
      `root file system: folder ${option} cannot be made: all but EROFS images is mounted read-only`,
    );
  }
  const [, path, mode] = MKDIR_PATH.exec(option.slice(MKDIR.length)) ?? [];
  if (path === undefined) {
    throw new RootfsError(`root file system: option ${option} is not understood`);
  }
  return { path, mode: mode === undefined ? MKDIR_MODE : parseInt(mode, 8) };
}

function numbersOf(template: string, count: number): number[] {
  const [, what, from, to] = TEMPLATE.exec(template.trim()) ?? [];
  const [first, last] = [Number(from), Number(to ?? from)];
  if (what === undefined || (what === "mount") !== (to === undefined)) {
    throw notUnderstood(template);
  }
  if (first >= count || last >= count) {
    throw new RootfsError(`root file system: template ${template} names a mount that is not there`);
  }
  const step = first <= last ? 1 : -1;
  return Array.from({ length: Math.abs(last - first) + 1 }, (_, index) => first + index * step);
}
