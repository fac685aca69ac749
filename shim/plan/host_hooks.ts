import type { CreateRequest } from "./create_request.ts";
import type { OciHook, OciSpec } from "./oci.ts";

/**
 * Hooks that the runtime specification runs outside of the container (config.md, "POSIX-platform
 * Hooks"): before its create and after its delete.
 */
export interface HostHooks {
  readonly create: readonly OciHook[];
  readonly delete: readonly OciHook[];
}

/** Kinds of these hooks, by when they run. All others would run in the container or its start. */
export const HOST_HOOKS = { create: ["prestart", "createRuntime"], delete: ["poststop"] } as const;

/** Returns the host hooks of a specification; null: it has none. Pure. */
export function hostHooks({ hooks = {} }: OciSpec): HostHooks | null {
  const of = (kinds: readonly string[]) => kinds.flatMap((kind) => hooks[kind] ?? []);
  const found = { create: of(HOST_HOOKS.create), delete: of(HOST_HOOKS.delete) };
  return found.create.length + found.delete.length === 0 ? null : found;
}

/** What hooks read on stdin: "State" of the specification, runtime.md. */
export interface HookState {
  readonly ociVersion: string;
  readonly id: string;
  readonly bundle: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Returns the state that hooks of a container read, without its status. Pure. */
export function hookState(
  { id, bundle }: Pick<CreateRequest, "id" | "bundle">,
  spec: OciSpec,
): HookState {
  const { ociVersion = "1.0.2", annotations = {} } = spec;
  return { ociVersion, id, bundle, annotations };
}
