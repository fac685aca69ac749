/** Runs `work` where the host's mounts are seen, outside of the shim's own mount namespace. */
export type OnHost = <T>(work: () => T) => T;
