import { type Any, Code, RpcError } from "../../proto/mod.ts";
import { ociObject } from "./oci_json.ts";

/** The part of an OCI process (runtime-spec, config.md#process) that vminitd looks at. */
export interface OciProcess {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
}

const WHAT = "the process to execute";

/**
 * The OCI process of an exec request, for `crun exec --process`. Whether it has a terminal is the
 * request's decision. crun checks the rest.
 *
 * @throws {RpcError} InvalidArgument
 */
export function ociProcess(spec: Any | undefined, terminal: boolean): OciProcess {
  const process = ociObject(spec, "Process", WHAT);
  const { args, cwd } = process;
  const isText = (argument: unknown): boolean => typeof argument === "string";
  if (!Array.isArray(args) || args.length === 0 || !args.every(isText)) {
    throw invalid("args is not a list of at least one text");
  }
  if (typeof cwd !== "string" || !cwd.startsWith("/")) {
    throw invalid("cwd is not an absolute path");
  }
  return { ...process, args, cwd, terminal };
}

function invalid(why: string): RpcError {
  return new RpcError(Code.InvalidArgument, `${WHAT}: ${why}`);
}
