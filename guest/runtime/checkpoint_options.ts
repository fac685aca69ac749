import { quoted, readIfPresent } from "../../base/mod.ts";
import {
  type Any,
  Code,
  encodeOciJson,
  parseOciJson,
  RpcError,
  runcOptions,
  unpackAny,
} from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";

/** How a container is checkpointed; a restore has to use the same flags. */
export interface CheckpointOptions {
  /** Whether the container exits afterwards. */
  readonly exit: boolean;
  /** crun's flags for the checkpoint and for its restore. */
  readonly crunFlags: readonly string[];
}

/** CRIU's modes for the cgroups of a checkpoint (crun-checkpoint(1)). */
const CGROUPS_MODES: readonly string[] = ["ignore", "soft", "full", "strict"];

/**
 * Returns the options of a request: containerd.runc.v1.CheckpointOptions, or none. Its image_path
 * and work_path are the host's and are ignored.
 *
 * @throws {RpcError} InvalidArgument: another type; Unimplemented: an option that crun lacks, by
 *   name
 */
export function checkpointOptions(options: Any | undefined): CheckpointOptions {
  if (options === undefined || options.typeUrl === "") return { exit: false, crunFlags: [] };
  const asked = unpackAny(runcOptions.CheckpointOptionsSchema, options);
  if (asked.emptyNamespaces.length > 0) throw unimplemented("empty_namespaces");
  if (asked.parentPath !== "") throw unimplemented("parent_path");
  const { cgroupsMode } = asked;
  if (cgroupsMode !== "" && !CGROUPS_MODES.includes(cgroupsMode)) {
    const known = CGROUPS_MODES.join(", ");
    throw invalid(`cgroups_mode ${quoted(cgroupsMode)} must be one of ${known}`);
  }
  const flags: readonly (readonly [boolean, string])[] = [
    [asked.openTcp, "--tcp-established"],
    [asked.externalUnixSockets, "--ext-unix-sk"],
    [asked.terminal, "--shell-job"],
    [asked.fileLocks, "--file-locks"],
    [cgroupsMode !== "", `--manage-cgroups-mode=${cgroupsMode}`],
  ];
  return {
    exit: asked.exit,
    crunFlags: flags.filter(([isSet]) => isSet).map(([, flag]) => flag),
  };
}

function unimplemented(option: string): RpcError {
  return new RpcError(Code.Unimplemented, `checkpoint option ${option} is not implemented`);
}

/**
 * The file in a checkpoint's directory, beside CRIU's own, that lists the flags to restore it with.
 */
const FLAGS_FILE = "qemubox-flags.json";

/** Saves the flags of a checkpoint in its directory. */
export function noteFlags(directory: string, { crunFlags }: CheckpointOptions): void {
  Deno.writeFileSync(`${directory}/${FLAGS_FILE}`, encodeOciJson(crunFlags), { mode: 0o600 });
}

/**
 * Returns the flags that a checkpoint was made with. A checkpoint of another runtime has none
 * saved.
 *
 * @throws {RpcError} InvalidArgument: the file is not a list of flags
 */
export function notedFlags(directory: string): readonly string[] {
  const text = readIfPresent(`${directory}/${FLAGS_FILE}`);
  if (text === null) return [];
  try {
    const flags = parseOciJson(text);
    if (Array.isArray(flags) && flags.every(isFlag)) return flags;
  } catch {
    // Not JSON: the same error as for any other content.
  }
  throw invalid(`${FLAGS_FILE} of the checkpoint must be a list of crun flags`);
}

function isFlag(flag: unknown): flag is string {
  return typeof flag === "string" && /^--[a-z-]+(?:=[a-z]+)?$/.test(flag);
}
