/** One of a process's standard streams. */
export type StreamKind = "stdin" | "stdout" | "stderr";

/**
 * What host and guest call a stream of a process. An init's has one part less than an exec's, so
 * that no exec's id can make the two the same.
 */
export function streamId(containerId: string, execId: string, kind: StreamKind): string {
  return execId === "" ? `${containerId}/${kind}` : `${containerId}/${execId}/${kind}`;
}

/** The ids of the streams that a process has, empty for those that it has not. */
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
