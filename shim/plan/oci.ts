import { messageOf, MIB, quoted } from "../../base/mod.ts";
import { type Any, parseOciJson } from "../../proto/mod.ts";
import { RefusedError } from "../base/refused_error.ts";

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

/** A program to run at some point of a container's life: config.md, "POSIX-platform Hooks". */
export interface OciHook {
  path: string;
  /** Includes argv[0]. */
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
  seccomp?: unknown;
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
  /** Each list whose name begins with "throttle" limits devices. */
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

/** Largest config.json: the specification travels in one RPC of at most 4 MiB. */
export const SPEC_BYTES_MAX = 2 * MIB;

/**
 * Reads `<bundle>/config.json`.
 *
 * @throws RefusedError `invalid` naming the file, if it is missing, too large or not a JSON object.
 */
export function readSpec(bundle: string): OciSpec {
  const path = `${bundle}/config.json`;
  const refusal = (why: string, cause?: unknown) =>
    new RefusedError("invalid", path, why, undefined, { cause });
  let text: string;
  try {
    const { size } = Deno.statSync(path);
    if (size > SPEC_BYTES_MAX) {
      throw refusal(`has ${size} bytes, more than the limit of ${SPEC_BYTES_MAX}`);
    }
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    throw refusal(`cannot be read: ${messageOf(error)}`, error);
  }
  let spec: unknown;
  try {
    spec = parseOciJson(text);
  } catch (error) {
    throw refusal(`is not JSON: ${messageOf(error)}`, error);
  }
  if (!isObject(spec)) throw refusal("is not a JSON object");
  return spec as OciSpec;
}

/** containerd's typeurl of a type of the specification, with its major version. */
const TYPE_URL = /^types\.containerd\.io\/opencontainers\/runtime-spec\/1\/([A-Za-z]+)$/;

/** Returns the type URL of a type of the specification. */
export function ociTypeUrl(type: string): string {
  return `types.containerd.io/opencontainers/runtime-spec/1/${type}`;
}

/**
 * Returns the JSON object in an Any that containerd made of a Go structure of the specification.
 *
 * @param type name of the structure: `Process`.
 * @param what names the request in the error.
 * @throws RefusedError `invalid` for another type, too many bytes, and anything but a JSON object.
 */
export function typedJson(
  any: Any | undefined,
  type: string,
  bytesMax: number,
  what: string,
): Record<string, unknown> {
  const refusal = (why: string) => new RefusedError("invalid", `${what} ${type}`, why);
  if (any === undefined) throw refusal("is missing");
  if (TYPE_URL.exec(any.typeUrl)?.[1] !== type) {
    throw refusal(`must be of type ${ociTypeUrl(type)}, found ${quoted(any.typeUrl)}`);
  }
  if (any.value.length > bytesMax) {
    throw refusal(`has ${any.value.length} bytes, more than the limit of ${bytesMax}`);
  }
  let value: unknown;
  try {
    value = parseOciJson(new TextDecoder("utf-8", { fatal: true }).decode(any.value));
  } catch (error) {
    throw refusal(`is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(value)) throw refusal("is not a JSON object");
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
