import type { SandboxName, SandboxPaths } from "../base/names.ts";

/** Where the network of a sandbox is, and what undoing it takes; part of its lease. */
export interface NetworkFacts {
  /** What CNI plugins know it by. */
  readonly containerId: string;
  readonly netns: string;
  /** The attachments of all sandboxes. */
  readonly storePath: string;
  /** Folders of CNI plugins. */
  readonly pluginPath: readonly string[];
  readonly lockFile: string;
}

/** How the network of a sandbox would be called, whether it has one or not. Pure. */
export function networkFacts(
  config: { readonly stateDir: string; readonly cniBinDir: readonly string[] },
  paths: Pick<SandboxPaths, "netns" | "netnsFolder">,
  name: SandboxName,
): NetworkFacts {
  return {
    containerId: containerIdOf(name),
    netns: paths.netns,
    storePath: `${config.stateDir}/network.db`,
    pluginPath: config.cniBinDir,
    lockFile: `${paths.netnsFolder}/.lock`,
  };
}

/** No identifier of containerd has two separators in a row: no two sandboxes share one. */
function containerIdOf({ namespace, id }: SandboxName): string {
  return `${namespace}--${id}`;
}
