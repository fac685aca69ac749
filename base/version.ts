/** Version of shim and vminitd, which are built and released together. */
export const VERSION = "0.1.0";
