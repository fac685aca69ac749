/**
 * Variables that our long-lived process, CNI plugins and loggers inherit from containerd: settings,
 * containerd's contract with shims (its docs/runtime-v2, "Environment variables"), and what any
 * program may count on. Everything else is dropped, because some of it changes how a program runs:
 * LD_PRELOAD and GLIBC_TUNABLES the loader, DENO_*, NODE_*, OTEL_* and NO_COLOR Deno, TMPDIR and
 * proxies a plugin.
 */
const KEPT: ReadonlySet<string> = new Set([
  ...["PATH", "HOME", "TTRPC_ADDRESS", "GRPC_ADDRESS", "NAMESPACE", "MAX_SHIM_VERSION"],
]);
const KEPT_PREFIXES = ["QEMUBOX_", "CONTAINERD_"] as const;

/** Returns the variables of containerd's environment that programs of ours inherit. Pure. */
export function inheritedEnvironment(
  variables: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) =>
      KEPT.has(name) || KEPT_PREFIXES.some((prefix) => name.startsWith(prefix))
    ),
  );
}
