import type { RefusedError } from "../../base/refused_error.ts";
import { badRootfs, type SnapshotMount } from "./snapshot_mount.ts";
import { quoted } from "../../../base/mod.ts";

/**
 * Templates in the mounts of a snapshot. containerd's mount manager fills them in, from 2.2 on,
 * unless the shim claims them (mount_claims.ts): a type `format/…` has templates in source and
 * options that name the mounts before it, and options of `mkdir/…` name the directories it needs.
 * See containerd's docs/mounts.md.
 */

/** Prefixes that the mount manager takes off a type, one after the other. */
const PREFIX = /^(format|mkdir)\//;
const TEMPLATES = /\{\{[^{}]*\}\}/g;
const TEMPLATE = /^\{\{\s*(overlay|mount)\s+(\d{1,3})(?:\s+(\d{1,3}))?\s*\}\}$/;
const MKDIR = "X-containerd.mkdir.";
/** `path[:mode]`; the owner is root, as in containerd 2.4. */
const MKDIR_PATH = /^path=(\/[^:\0]*)(?::([0-7]{1,4})(?::0:0)?)?$/;
const MKDIR_MODE = 0o700;

/** A directory to make, unless it exists. */
export interface PlannedDirectory {
  readonly path: string;
  readonly mode: number;
}

/** Returns a type without the mount manager's prefixes. */
export function plainType(type: string): string {
  const rest = type.replace(PREFIX, "");
  return rest === type ? type : plainType(rest);
}

/**
 * Returns the mounts that a template of the last one stands for, in the template's order.
 *
 * @throws RefusedError `invalid`
 */
export function mountsOf(template: string, mounts: readonly SnapshotMount[]): SnapshotMount[] {
  return numbersOf(template, mounts.length - 1).map((number) => mounts[number]!);
}

/**
 * Returns a mount as mount(2) knows it, and the directories that it needs.
 *
 * @param places where the mounts before it are.
 * @throws RefusedError `invalid`
 */
export function withoutTemplates(
  { type, source, options, ...rest }: SnapshotMount,
  places: readonly string[],
): SnapshotMount & { readonly directories: readonly PlannedDirectory[] } {
  const filled = (text: string) => {
    const done = text.replaceAll(
      TEMPLATES,
      (template) => numbersOf(template, places.length).map((number) => places[number]).join(":"),
    );
    if (done.includes("{{")) throw notUnderstood(text);
    return done;
  };
  const directories = options.filter((option) => option.startsWith(MKDIR)).map(directoryOf);
  return {
    ...rest,
    type: plainType(type),
    source: filled(source),
    options: options.filter((option) => !option.startsWith(MKDIR)).map(filled),
    directories,
  };
}

/** Makes the error for a template that is malformed. */
export function notUnderstood(template: string): RefusedError {
  return badRootfs(`template ${quoted(template)} is not understood`);
}

function directoryOf(option: string): PlannedDirectory {
  if (option.includes("{{")) {
    throw badRootfs(
      `directory ${option} cannot be made: everything but EROFS images is mounted read-only`,
    );
  }
  const [, path, mode] = MKDIR_PATH.exec(option.slice(MKDIR.length)) ?? [];
  if (path === undefined) {
    throw badRootfs(`option ${option} is not understood`);
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
    throw badRootfs(`template ${template} names a mount that does not exist`);
  }
  const step = first <= last ? 1 : -1;
  return Array.from({ length: Math.abs(last - first) + 1 }, (_, index) => first + index * step);
}
