import { invalid } from "../base/errors.ts";
import { checkedStreamId } from "../base/ids.ts";
import { PipeStdio } from "./pipe_stdio.ts";
import type { ProcessStdio, StdioIds } from "./process_stdio.ts";
import type { StdioDeps } from "./stdio_endpoint.ts";
import { TerminalStdio } from "./terminal_stdio.ts";

/**
 * Makes a process's pipes, or the receiver of its terminal. The host can dial the ids from now on.
 *
 * @param consolePath returns a path for the socket that receives a terminal
 * @throws {RpcError} AlreadyExists: an id is in use; InvalidArgument: an id is invalid, or a
 *   process with a terminal has stderr
 */
export function openStdio(
  deps: StdioDeps,
  ids: StdioIds,
  consolePath: () => string,
): ProcessStdio {
  for (const id of [ids.stdin, ids.stdout, ids.stderr]) if (id !== "") checkedStreamId(id);
  if (!ids.terminal) return new PipeStdio(deps, ids);
  if (ids.stderr !== "") throw invalid("process with a terminal has no stderr of its own");
  return new TerminalStdio(deps, ids, consolePath());
}
