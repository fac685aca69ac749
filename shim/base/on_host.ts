/** Runs `work` in the host's mount namespace instead of the shim's own. */
export type OnHost = <T>(work: () => T) => T;
