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
  hooks?: Record<string, unknown[]>;
  annotations?: Record<string, string>;
  linux?: OciLinux;
  [key: string]: unknown;
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
  [key: string]: unknown;
}

export interface OciResources {
  memory?: { limit?: number; [key: string]: unknown };
  cpu?: { quota?: number; period?: number; [key: string]: unknown };
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
  const spec: unknown = JSON.parse(Deno.readTextFileSync(path));
  if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
    throw new Error(`${path} is not a JSON object`);
  }
  return spec as OciSpec;
}
