/** Paths or URIs as containerd gives them; empty: none. */
export interface StdioAddresses {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Identifies a process of a container, with the stdio that containerd named for it. */
export interface ProcessName extends StdioAddresses {
  /** The container's id. */
  readonly id: string;
  /** Empty for the container's init. */
  readonly execId: string;
  readonly terminal: boolean;
}
