/** Kernel configuration files in the format of scripts/kconfig. */

/** Option (with `CONFIG_`) → value as written; `n` if it is off. */
export type KernelConfig = ReadonlyMap<string, string>;

/** Reads a `.config` or a fragment. `# CONFIG_X is not set` counts as `CONFIG_X=n`. */
export function parseConfig(text: string): KernelConfig {
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    const set = /^(CONFIG_\w+)=(.*)$/.exec(line);
    const unset = /^# (CONFIG_\w+) is not set$/.exec(line);
    if (set !== null) options.set(set[1]!, set[2]!.trim());
    else if (unset !== null) options.set(unset[1]!, "n");
  }
  return options;
}

/** Returns the options without comments, in their original order. */
export function formatConfig(config: KernelConfig): string {
  return [...config].map(([option, value]) => `${option}=${value}\n`).join("");
}

/**
 * Returns one line per option of `fragment` that `config` does not fulfil. kconfig silently drops
 * an option if a dependency is off, or if this kernel does not have it.
 */
export function unfulfilled(fragment: KernelConfig, config: KernelConfig): string[] {
  return [...fragment].flatMap(([option, wanted]) => {
    const got = config.get(option) ?? "n";
    if (got === wanted) return [];
    const known = config.has(option) ? "" : " (unknown to this kernel, or a dependency is off)";
    return [`${option}: wanted ${wanted}, got ${got}${known}`];
  });
}
