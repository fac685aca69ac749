/** Inputs that once failed: a file each in `corpus/<target>/`, replayed by every run. */

import { listIfPresent } from "../../base/mod.ts";
import { sha256 } from "../lib/bytes.ts";

export class Corpus {
  readonly #directory: string;

  /** @param root directory of all targets' inputs. */
  constructor(target: string, root: string = new URL("corpus", import.meta.url).pathname) {
    this.#directory = `${root}/${target}`;
  }

  /** Returns all inputs with their paths. */
  read(): { path: string; bytes: Uint8Array }[] {
    const names = listIfPresent(this.#directory).map(({ name }) => name);
    return names.sort().map((name) => {
      const path = `${this.#directory}/${name}`;
      return { path, bytes: Deno.readFileSync(path) };
    });
  }

  /** Writes an input under the hash of its bytes. Returns its path. */
  keep(bytes: Uint8Array): string {
    Deno.mkdirSync(this.#directory, { recursive: true });
    const path = `${this.#directory}/${sha256(bytes).slice(0, 16)}`;
    Deno.writeFileSync(path, bytes);
    return path;
  }
}
