import { create, runcOptions, toBinary, types } from "../proto/mod.ts";

export const RUNTIME_NAME = "io.containerd.qemubox.v1";
/** Released together: shim, kernel and initrd. */
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

/**
 * `-info`: a containerd.types.RuntimeInfo for containerd, which asks for it to know name and
 * version before it runs anything.
 */
export function runtimeInfo(): Uint8Array {
  return toBinary(
    types.RuntimeInfoSchema,
    create(types.RuntimeInfoSchema, {
      name: RUNTIME_NAME,
      version: { version: VERSION },
      options: { typeUrl: runcOptions.OptionsSchema.typeName, value: new Uint8Array() },
      annotations: { "io.qemubox.isolation": "vm" },
    }),
  );
}
