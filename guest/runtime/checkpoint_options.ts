import { type Any, Code, RpcError, runcOptions, unpackAny } from "../../proto/mod.ts";

/** How a container is taken down into files; the same holds when it is restored. */
export interface CheckpointOptions {
  /** Whether the container ends with it. */
  readonly exit: boolean;
  /** What crun is told, when it makes the checkpoint and when it restores one. */
  readonly crunFlags: readonly string[];
}

/** The modes of CRIU for what a checkpoint does with cgroups (crun-checkpoint(1)). */
const CGROUPS_MODES: readonly string[] = ["ignore", "soft", "full", "strict"];

/**
 * Reads what a client asks for: containerd.runc.v1.CheckpointOptions, or nothing. Its image_path and
 * work_path are the host's.
 *
 * @throws {RpcError} InvalidArgument: another type; Unimplemented naming the option that crun has not
 */
export function checkpointOptions(options: Any | undefined): CheckpointOptions {
  if (options === undefined || options.typeUrl === "") return { exit: false, crunFlags: [] };
  const asked = unpackAny(runcOptions.CheckpointOptionsSchema, options);
  if (asked.emptyNamespaces.length > 0) throw unimplemented("empty_namespaces");
  if (asked.parentPath !== "") throw unimplemented("parent_path");
  const { cgroupsMode } = asked;
  if (cgroupsMode !== "" && !CGROUPS_MODES.includes(cgroupsMode)) {
    const known = CGROUPS_MODES.join(", ");
    throw new RpcError(
      Code.InvalidArgument,
      `cgroups_mode ${JSON.stringify(cgroupsMode)} is none of ${known}`,
    );
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

/** In a checkpoint's folder, beside CRIU's own files: with which flags it has to be restored. */
const FLAGS_FILE = "qemubox-flags.json";

/** Notes the flags of a checkpoint in its folder. */
export function noteFlags(folder: string, { crunFlags }: CheckpointOptions): void {
  Deno.writeTextFileSync(`${folder}/${FLAGS_FILE}`, JSON.stringify(crunFlags), { mode: 0o600 });
}

/**
 * The flags that a checkpoint was made with. One that another runtime made has none noted.
 *
 * @throws {RpcError} InvalidArgument
 */
export function notedFlags(folder: string): readonly string[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${folder}/${FLAGS_FILE}`);
  } catch {
    return [];
  }
  try {
    const flags: unknown = JSON.parse(text);
    const isFlag = (flag: unknown): flag is string =>
      typeof flag === "string" && /^--[a-z-]+(?:=[a-z]+)?$/.test(flag);
    if (Array.isArray(flags) && flags.every(isFlag)) return flags;
  } catch {
    // as any other nonsense
  }
  throw new RpcError(Code.InvalidArgument, `${FLAGS_FILE} of the checkpoint holds no flags`);
}
