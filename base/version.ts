/** Version of the shim and of vminitd, which are built and released together. */
export const VERSION = "0.1.0";

/** Global variable that a compiled program sets to its {@link BUILD} before anything else runs. */
export const BUILD_GLOBAL = "__qemuboxBuild";

/**
 * The build that this program comes from, for people and for comparing shim and vminitd, for
 * example "0.1.0 (commit 1a2b3c4d5e6f)". The programs of one build have the same. "0.1.0 (source)"
 * in a program that runs from source. scripts/lib/build_identity.ts has the forms.
 */
export const BUILD: string = (globalThis as { [BUILD_GLOBAL]?: string })[BUILD_GLOBAL] ??
  `${VERSION} (source)`;
