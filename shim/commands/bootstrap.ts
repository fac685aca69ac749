import { bootstrap, create, fromBinary, packAny, toBinary, types } from "../../proto/mod.ts";
import type { Flags } from "./cli.ts";
import { MOUNT_CLAIMS } from "./mount_claims.ts";

/** What `start` learns from containerd besides the flags. */
export interface BootstrapInput {
  /** How containerd wants the answer: protobuf since 2.3, JSON before. */
  readonly protocol: "protobuf" | "json";
  readonly debug: boolean;
  /** Folder for the shim's socket; null: containerd's default. */
  readonly socketDir: string | null;
}

/** More than this on stdin is refused; containerd's own shims have the same limit. */
export const BOOTSTRAP_BYTES_MAX = 10 * 1024 * 1024;

/** The task API that this shim speaks (containerd.task.v3; v2 is served beside it). */
const SHIM_VERSION = 3;

/**
 * Tells the two bootstrap protocols apart. Since containerd 2.3, stdin holds BootstrapParams that
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

/** The answer of `start` on stdout. What containerd does not know of it, it ignores. */
export function bootstrapAnswer(protocol: BootstrapInput["protocol"], socket: string): Uint8Array {
  const answer = { version: SHIM_VERSION, address: `unix://${socket}`, protocol: "ttrpc" };
  if (protocol === "json") return new TextEncoder().encode(JSON.stringify(answer));
  const extensions = [{ value: packAny(types.MountCapabilitiesSchema, MOUNT_CLAIMS) }];
  return toBinary(
    bootstrap.BootstrapResultSchema,
    create(bootstrap.BootstrapResultSchema, { ...answer, extensions }),
  );
}
