import { type Any, Code, RpcError } from "../../proto/mod.ts";
import { parseOciJson } from "./oci_json.ts";

/**
 * The parts of an OCI runtime specification (config.json) that the host reads or rewrites.
 * Everything else passes through untouched. See the OCI runtime specification, config.md.
 */
export interface OciSpec {
  ociVersion?: string;
  process?: OciProcess;
  root?: { path: string; readonly?: boolean };
  hostname?: string;
  mounts?: OciMount[];
  hooks?: Record<string, OciHook[] | undefined>;
  annotations?: Record<string, string>;
  linux?: OciLinux;
  [key: string]: unknown;
}

/** A program that is run at some point of a container's life: config.md, "POSIX-platform Hooks". */
export interface OciHook {
  path: string;
  /** With argv[0]. */
  args?: string[];
  env?: string[];
  /** Seconds. */
  timeout?: number;
}

export interface OciProcess {
  terminal?: boolean;
  args?: string[];
  apparmorProfile?: string;
  selinuxLabel?: string;
  [key: string]: unknown;
}

export interface OciMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export interface OciLinux {
  namespaces?: { type: string; path?: string }[];
  cgroupsPath?: string;
  resources?: OciResources;
  mountLabel?: string;
  intelRdt?: unknown;
  sysctl?: Record<string, string>;
  devices?: OciDevice[];
  [key: string]: unknown;
}

export interface OciDevice {
  path: string;
  type: string;
  major?: number;
  minor?: number;
  [key: string]: unknown;
}

export interface OciResources {
  devices?: { allow: boolean; type?: string; major?: number; minor?: number }[];
  memory?: { limit?: number | bigint; [key: string]: unknown };
  /** Its lists whose names begin with "throttle" limit a device each. */
  blockIO?: { weightDevice?: unknown[]; [key: string]: unknown };
  hugepageLimits?: { pageSize: string; limit: number | bigint }[];
  cpu?: {
    quota?: number | bigint;
    period?: number | bigint;
    cpus?: string;
    mems?: string;
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

/** config.json larger than this is refused: the specification travels in one RPC of at most 4 MiB. */
export const SPEC_BYTES_MAX = 2 * 1024 * 1024;

/**
 * Reads `<bundle>/config.json`.
 * @throws Error when the file is missing, too large or not a JSON object.
 */
export function readSpec(bundle: string): OciSpec {
  const path = `${bundle}/config.json`;
  const size = Deno.statSync(path).size;
  if (size > SPEC_BYTES_MAX) {
    throw new Error(`${path} has ${size} bytes, more than the limit of ${SPEC_BYTES_MAX}`);
  }
  const spec = parseOciJson(Deno.readTextFileSync(path));
  if (!isObject(spec)) throw new Error(`${path} is not a JSON object`);
  return spec as OciSpec;
}

/** How containerd's typeurl names a type of the specification: with its major version. */
const TYPE_URL = /^types\.containerd\.io\/opencontainers\/runtime-spec\/1\/([A-Za-z]+)$/;

/** The type URL of a type of the specification. */
export function ociTypeUrl(type: string): string {
  return `types.containerd.io/opencontainers/runtime-spec/1/${type}`;
}

/**
 * The JSON object in an Any that containerd made of a Go structure of the specification.
 * @param type its name: `Process`.
 * @param what the request, for the message.
 * @throws RpcError InvalidArgument for another type, too many bytes, and what is no JSON object.
 */
export function typedJson(
  any: Any | undefined,
  type: string,
  bytesMax: number,
  what: string,
): Record<string, unknown> {
  const refusal = (why: string) => new RpcError(Code.InvalidArgument, `${what}: ${why}`);
  if (any === undefined) throw refusal(`there is no ${type}`);
  if (TYPE_URL.exec(any.typeUrl)?.[1] !== type) {
    throw refusal(`expected ${ociTypeUrl(type)}, found ${JSON.stringify(any.typeUrl)}`);
  }
  if (any.value.length > bytesMax) {
    throw refusal(`${any.value.length} bytes of ${type} are more than the limit of ${bytesMax}`);
  }
  let value: unknown;
  try {
    value = parseOciJson(new TextDecoder("utf-8", { fatal: true }).decode(any.value));
  } catch (error) {
    throw refusal(`${type} is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw refusal(`${type} is not a JSON object`);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
