import { create, fromBinary, runcOptions, toBinary, types } from "../../proto/mod.ts";
import { OCI_FEATURES } from "./features.ts";
import { CLAIM_ANNOTATIONS } from "./mount_claims.ts";
import { checkRuntimeOptions } from "../plan/runtime_options.ts";

export const RUNTIME_NAME = "io.containerd.qemubox.v1";
/** Released together: shim, kernel and root image. */
export const VERSION = "0.1.0";

/** `-v`: for people. */
export function versionText(): string {
  return [
    "containerd-shim-qemubox-v1:",
    `  Version:  ${VERSION}`,
    `  Runtime:  ${RUNTIME_NAME}`,
    `  Deno:     ${Deno.version.deno}`,
    "",
  ].join("\n");
}

/** How containerd's typeurl names the features document of the OCI runtime specification. */
const FEATURES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/**
 * `-info`: a containerd.types.RuntimeInfo for containerd, which asks for it to know name, version
 * and features before it runs anything.
 * @param request what came on stdin: a containerd.types.RuntimeRequest, or nothing.
 * @throws RpcError for runtime options of a type that is not known.
 */
export function runtimeInfo(request: Uint8Array): Uint8Array {
  const { options } = fromBinary(types.RuntimeRequestSchema, request);
  checkRuntimeOptions(options);
  return toBinary(
    types.RuntimeInfoSchema,
    create(types.RuntimeInfoSchema, {
      name: RUNTIME_NAME,
      version: { version: VERSION },
      options: options ?? { typeUrl: runcOptions.OptionsSchema.typeName, value: new Uint8Array() },
      features: {
        typeUrl: FEATURES_TYPE,
        value: new TextEncoder().encode(JSON.stringify(OCI_FEATURES)),
      },
      annotations: { "io.qemubox.isolation": "vm", ...CLAIM_ANNOTATIONS },
    }),
  );
}
