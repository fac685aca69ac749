import { IDENTIFIER_CHARACTERS_MAX, isIdentifier, MIB, quoted } from "../../base/mod.ts";
import type { Any } from "../../proto/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { type OciProcess, typedJson } from "./oci.ts";
import { dropLabels } from "./spec_plan.ts";

/** What containerd asks to execute: the parts of its ExecProcessRequest that matter. */
export interface ExecRequest {
  readonly id: string;
  readonly execId: string;
  readonly terminal: boolean;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly spec?: Any | undefined;
}

/** Largest specification of a process: arguments and environment together. */
export const PROCESS_BYTES_MAX = MIB;

/**
 * Checks an exec process and makes it fit for the guest: labels of security modules name what the
 * guest's kernel does not have. Pure. See "process" in the OCI runtime specification, config.md.
 *
 * @throws RefusedError `invalid` naming the field.
 */
export function planExec(request: ExecRequest): OciProcess {
  const { execId, terminal, spec } = request;
  if (!isIdentifier(execId)) {
    const why = "is not an identifier (letters, digits, single - . _ between them, at most " +
      `${IDENTIFIER_CHARACTERS_MAX})`;
    throw new RefusedError("invalid", `exec-id ${quoted(execId)}`, why);
  }
  const what = `exec ${execId}:`;
  const process = typedJson(spec, "Process", PROCESS_BYTES_MAX, what) as OciProcess;
  const { args, cwd } = process;
  if (!Array.isArray(args) || args.length === 0 || args.some((arg) => typeof arg !== "string")) {
    throw new RefusedError("invalid", `${what} args`, "must be a non-empty list of strings");
  }
  if (typeof cwd !== "string" || !cwd.startsWith("/")) {
    const field = typeof cwd === "string" ? `${what} cwd ${quoted(cwd)}` : `${what} cwd`;
    throw new RefusedError("invalid", field, "must be an absolute path");
  }
  requireSameTerminal(process, terminal, what);
  dropLabels(process);
  return process;
}

/**
 * A terminal is asked for twice, in the specification and in the request.
 *
 * @param what names the process in the error.
 * @throws RefusedError `invalid` if the two differ, or the specification's is not a boolean.
 */
export function requireSameTerminal(process: OciProcess, terminal: boolean, what: string): void {
  const specified: unknown = process.terminal ?? false;
  if (specified === terminal) return;
  if (typeof specified !== "boolean") {
    throw new RefusedError("invalid", `${what} terminal`, "must be true or false");
  }
  throw new RefusedError(
    "invalid",
    `${what} terminal`,
    `is ${specified} in its specification and ${terminal} in the request`,
    "make them the same",
  );
}
