/** Paths or URIs of a process's stdio as containerd names them; empty if there is none. */
export interface StdioAddresses {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Identity of a process of a container, with its stdio. */
export interface ProcessName extends StdioAddresses {
  /** Container id. */
  readonly id: string;
  /** Exec id; empty for the container's init. */
  readonly execId: string;
  readonly terminal: boolean;
}
