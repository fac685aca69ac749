import { Code, RpcError } from "../../proto/mod.ts";
import { checkedStreamId } from "../base/ids.ts";
import { PipeStdio } from "./pipe_stdio.ts";
import type { ProcessStdio, StdioIds } from "./process_stdio.ts";
import type { StdioDependencies } from "./stdio_endpoint.ts";
import { TerminalStdio } from "./terminal_stdio.ts";

/**
 * Makes pipes, or what takes a terminal. The host can dial the ids from now on.
 *
 * @param consolePath where a socket for a terminal may be made
 * @throws {RpcError} AlreadyExists: an id is in use; InvalidArgument: it can be none
 */
export function openStdio(
  dependencies: StdioDependencies,
  ids: StdioIds,
  consolePath: () => string,
): ProcessStdio {
  for (const id of [ids.stdin, ids.stdout, ids.stderr]) if (id !== "") checkedStreamId(id);
  if (!ids.terminal) return new PipeStdio(dependencies, ids);
  if (ids.stderr !== "") {
    throw new RpcError(Code.InvalidArgument, "a process with a terminal has no stderr of its own");
  }
  return new TerminalStdio(dependencies, ids, consolePath());
}
