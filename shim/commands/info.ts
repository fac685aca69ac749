import { BUILD, VERSION } from "../../base/mod.ts";
import { create, fromBinary, runcOptions, toBinary, types } from "../../proto/mod.ts";
import { OCI_FEATURES } from "./features.ts";
import { CLAIM_ANNOTATIONS } from "./mount_claims.ts";
import { checkRuntimeOptions } from "../plan/runtime_options.ts";

export const RUNTIME_NAME = "io.containerd.qemubox.v1";
/** The part of BUILD in parentheses: the commit, or why it is not known. */
const REVISION = BUILD.slice(VERSION.length).replace(/^ \((.*)\)$/, "$1");

/** The text of `-v`, for people. */
export function versionText(): string {
  return [
    "containerd-shim-qemubox-v1:",
    `  Version:  ${VERSION}`,
    `  Revision: ${REVISION}`,
    `  Runtime:  ${RUNTIME_NAME}`,
    `  Deno:     ${Deno.version.deno}`,
    "",
  ].join("\n");
}

/** Type URL of the OCI features structure in containerd's typeurl. */
const FEATURES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/**
 * Returns the answer to `-info`, an encoded containerd.types.RuntimeInfo. containerd asks for name,
 * version and features before it runs anything.
 *
 * @param request the encoded containerd.types.RuntimeRequest on stdin; empty if there is none.
 * @throws {Error} for runtime options of an unknown type.
 */
export function runtimeInfo(request: Uint8Array): Uint8Array {
  const { options } = fromBinary(types.RuntimeRequestSchema, request);
  checkRuntimeOptions(options);
  return toBinary(
    types.RuntimeInfoSchema,
    create(types.RuntimeInfoSchema, {
      name: RUNTIME_NAME,
      version: { version: VERSION, revision: REVISION },
      options: options ?? { typeUrl: runcOptions.OptionsSchema.typeName, value: new Uint8Array() },
      features: {
        typeUrl: FEATURES_TYPE,
        value: new TextEncoder().encode(JSON.stringify(OCI_FEATURES)),
      },
      annotations: { "io.qemubox.isolation": "vm", ...CLAIM_ANNOTATIONS },
    }),
  );
}
