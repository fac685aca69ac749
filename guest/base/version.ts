/** Version of vminitd, as Configure and Connect answer it. */
export const VERSION = "0.1.0";
