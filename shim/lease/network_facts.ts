import type { SandboxName, SandboxPaths } from "../base/names.ts";

/** Network of a sandbox and everything that undoing it needs; part of the lease. */
export interface NetworkFacts {
  /** Container id that CNI plugins get. */
  readonly containerId: string;
  readonly netns: string;
  /** Database of the attachments of all sandboxes. */
  readonly storePath: string;
  /** Directories of CNI plugins. */
  readonly pluginPath: readonly string[];
  readonly lockFile: string;
}

/** Returns the facts of a sandbox's network, whether it has one or not. Pure. */
export function networkFacts(
  config: { readonly stateDir: string; readonly cniBinDir: readonly string[] },
  paths: Pick<SandboxPaths, "netns" | "netnsDirectory">,
  name: SandboxName,
): NetworkFacts {
  return {
    containerId: containerIdOf(name),
    netns: paths.netns,
    storePath: `${config.stateDir}/network.db`,
    pluginPath: config.cniBinDir,
    lockFile: `${paths.netnsDirectory}/.lock`,
  };
}

/** No containerd identifier has two separators in a row, so no two sandboxes share an id. */
function containerIdOf({ namespace, id }: SandboxName): string {
  return `${namespace}--${id}`;
}
