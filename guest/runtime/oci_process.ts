import { type Any } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";
import { ociObject } from "./oci_json.ts";

/** The part of an OCI process (runtime-spec, config.md#process) that vminitd looks at. */
export interface OciProcess {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly terminal?: boolean;
  /** In characters. */
  readonly consoleSize?: { readonly height: number; readonly width: number };
}

const WHAT = "exec process";

/**
 * Returns the OCI process of an exec request, for `crun exec --process`. The request decides
 * whether it has a terminal. crun checks the rest.
 *
 * @throws {RpcError} InvalidArgument
 */
export function ociProcess(spec: Any | undefined, terminal: boolean): OciProcess {
  const process = ociObject(spec, "Process", WHAT);
  const { args, cwd } = process;
  const isText = (argument: unknown): boolean => typeof argument === "string";
  if (!Array.isArray(args) || args.length === 0 || !args.every(isText)) {
    throw invalid(`${WHAT}: args must be a non-empty list of strings`);
  }
  if (typeof cwd !== "string" || !cwd.startsWith("/")) {
    throw invalid(`${WHAT}: cwd must be an absolute path`);
  }
  return { ...process, args, cwd, terminal };
}
