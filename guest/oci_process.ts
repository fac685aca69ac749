import { type Any, Code, RpcError } from "../proto/mod.ts";
import { quoted } from "./ids.ts";

/** How containerd names an OCI process in an Any; before that comes its domain, or nothing. */
const TYPE_URL = /(?:^|\/)opencontainers\/runtime-spec\/1\/Process$/;

/** The part of an OCI process (runtime-spec, config.md#process) that vminitd looks at. */
export interface OciProcess {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
}

/**
 * The OCI process of an exec request, for `crun exec --process`. Whether it has a terminal is the
 * request's decision. crun checks the rest.
 *
 * @throws {RpcError} InvalidArgument
 */
export function ociProcess(spec: Any | undefined, terminal: boolean): OciProcess {
  if (spec === undefined) throw invalid("there is none");
  if (!TYPE_URL.test(spec.typeUrl)) throw invalid(`it is of type ${quoted(spec.typeUrl)}`);
  let process: unknown;
  try {
    process = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(spec.value));
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
  if (typeof process !== "object" || process === null) throw invalid("it is not an object");
  const { args, cwd } = process as { args?: unknown; cwd?: unknown };
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
  return new RpcError(Code.InvalidArgument, `the process to execute: ${why}`);
}
