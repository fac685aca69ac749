import { bootstrap, create, fromBinary, packAny, toBinary, types } from "../../proto/mod.ts";
import type { Flags } from "./cli.ts";
import { MOUNT_CLAIMS } from "./mount_claims.ts";

/** Input of `start` from containerd besides the flags. */
export interface BootstrapInput {
  /** Encoding of the answer: protobuf since containerd 2.3, JSON before. */
  readonly protocol: "protobuf" | "json";
  readonly debug: boolean;
  /** Directory of the shim's socket; null for containerd's default. */
  readonly socketDir: string | null;
}

/** Limit of stdin, the same as of containerd's own shims. */
export const BOOTSTRAP_BYTES_MAX = 10 * 1024 * 1024;

/** Version of the task API of this shim (containerd.task.v3; v2 is served beside it). */
const SHIM_VERSION = 3;

/**
 * Parses stdin of either bootstrap protocol. Since containerd 2.3, it holds BootstrapParams that
 * repeat id and namespace of the flags; up to 2.2 it holds the runtime options, or nothing.
 */
export function readBootstrap(stdin: Uint8Array, flags: Flags): BootstrapInput {
  const json: BootstrapInput = { protocol: "json", debug: flags.debug, socketDir: null };
  if (stdin.length === 0) return json;
  try {
    const params = fromBinary(bootstrap.BootstrapParamsSchema, stdin);
    if (params.instanceId !== flags.id || params.namespace !== flags.namespace) return json;
    return {
      protocol: "protobuf",
      debug: flags.debug || params.logLevel < bootstrap.LogLevel.INFO,
      socketDir: params.socketDir || null,
    };
  } catch {
    return json;
  }
}

/** Returns the answer of `start` on stdout. containerd ignores unknown fields of it. */
export function bootstrapAnswer(protocol: BootstrapInput["protocol"], socket: string): Uint8Array {
  const answer = { version: SHIM_VERSION, address: `unix://${socket}`, protocol: "ttrpc" };
  if (protocol === "json") return new TextEncoder().encode(JSON.stringify(answer));
  const extensions = [{ value: packAny(types.MountCapabilitiesSchema, MOUNT_CLAIMS) }];
  return toBinary(
    bootstrap.BootstrapResultSchema,
    create(bootstrap.BootstrapResultSchema, { ...answer, extensions }),
  );
}
