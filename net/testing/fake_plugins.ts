import { readIfPresent } from "../../base/mod.ts";

/**
 * A directory of CNI plugins made of sh, removed at the end of the scope. Each plugin records its
 * calls.
 */
export class FakePlugins implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "qemubox-cni-" });

  /** Adds a plugin; `script` sees its standard input in `$stdin`. */
  add(type: string, script: string): void {
    const text = `#!/bin/sh
stdin=$(cat)
echo "${type} $CNI_COMMAND $CNI_IFNAME" >>${this.path}/calls
echo "$stdin" >${this.path}/${type}.$CNI_COMMAND
${script}
`;
    Deno.writeTextFileSync(`${this.path}/${type}`, text, { mode: 0o755 });
  }

  /** Adds a plugin that answers ADD with a result. */
  answering(type: string, result: unknown): void {
    this.add(type, `test $CNI_COMMAND != ADD || cat <<'END'\n${JSON.stringify(result)}\nEND`);
  }

  /** The calls in order, such as "bridge ADD eth0". */
  get calls(): string[] {
    return readIfPresent(`${this.path}/calls`)?.trim().split("\n") ?? [];
  }

  /** Returns what a plugin last read on standard input. */
  stdin(type: string, command: string): Record<string, unknown> {
    return JSON.parse(Deno.readTextFileSync(`${this.path}/${type}.${command}`));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
