/** Stream ids of a process, empty for streams that it does not have. */
export function streamIds(
  { id, execId, terminal, ...addresses }: {
    readonly id: string;
    readonly execId: string;
    readonly terminal: boolean;
    readonly stdin: string;
    readonly stdout: string;
    readonly stderr: string;
  },
): Record<StreamKind, string> {
  const named = (kind: StreamKind) => addresses[kind] === "" ? "" : streamId(id, execId, kind);
  // A terminal is one stream each way.
  return {
    stdin: named("stdin"),
    stdout: named("stdout"),
    stderr: terminal ? "" : named("stderr"),
  };
}

/** A standard stream of a process. */
export type StreamKind = "stdin" | "stdout" | "stderr";

/**
 * Name of a process's stream that host and guest share. An init's has one part less than an exec
 * process's, so no exec id can make the two the same.
 */
export function streamId(containerId: string, execId: string, kind: StreamKind): string {
  return execId === "" ? `${containerId}/${kind}` : `${containerId}/${execId}/${kind}`;
}
