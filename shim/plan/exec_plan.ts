import { type Any, Code, RpcError } from "../../proto/mod.ts";
import { IDENTIFIER_CHARACTERS_MAX, isIdentifier, quoted } from "../../base/mod.ts";
import { type OciProcess, typedJson } from "./oci.ts";
import { dropLabels } from "./spec_plan.ts";

/** What containerd asks to be executed; the parts of its ExecProcessRequest that matter. */
export interface ExecRequest {
  readonly id: string;
  readonly execId: string;
  readonly terminal: boolean;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly spec?: Any | undefined;
}

/** A process's specification larger than this is refused: arguments and environment together. */
export const PROCESS_BYTES_MAX = 1024 * 1024;

/**
 * Checks what is to be executed, and makes it fit for the guest: labels of security modules name
 * what the guest's kernel has not. Pure. See "process" in the OCI runtime specification, config.md.
 * @throws RpcError InvalidArgument that names what is wrong.
 */
export function planExec(request: ExecRequest): OciProcess {
  const { execId, terminal, spec } = request;
  if (!isIdentifier(execId)) {
    throw new RpcError(
      Code.InvalidArgument,
      `exec-id ${quoted(execId)} is not an identifier (letters, digits, single - . _ between ` +
        `them, at most ${IDENTIFIER_CHARACTERS_MAX})`,
    );
  }
  const what = `exec ${execId}`;
  const process = typedJson(spec, "Process", PROCESS_BYTES_MAX, what) as OciProcess;
  const args: unknown = process.args;
  if (!Array.isArray(args) || args.length === 0 || args.some((arg) => typeof arg !== "string")) {
    throw new RpcError(Code.InvalidArgument, `${what}: args is no command; give one to run`);
  }
  if (typeof process["cwd"] !== "string" || !process["cwd"].startsWith("/")) {
    throw new RpcError(Code.InvalidArgument, `${what}: cwd is no absolute path`);
  }
  requireSameTerminal(process, terminal, what);
  dropLabels(process);
  return process;
}

/**
 * Whether there is a terminal is said twice, in the specification and in the request.
 * @throws RpcError InvalidArgument when the two differ.
 */
export function requireSameTerminal(process: OciProcess, terminal: boolean, what: string): void {
  if ((process.terminal ?? false) === terminal) return;
  throw new RpcError(
    Code.InvalidArgument,
    `${what}: terminal is ${process.terminal ?? false} in its specification and ${terminal} in ` +
      "the request; they have to be the same",
  );
}
