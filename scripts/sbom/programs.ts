/** Bills of materials of compiled programs. */

import type { Compiled } from "../lib/compile.ts";
import { REPOSITORY } from "../lib/paths.ts";
import { type Component, type DenoLock, denortComponent, npmComponent } from "./component.ts";
import { type Product, publishSbom } from "./publish_sbom.ts";

/** Writes the document of a program to `_output/`. */
export async function publishProgramSbom(program: Compiled, identity: string): Promise<void> {
  await publishSbom({ ...programProduct(program, identity), key: program.key });
}

/**
 * Returns a program as a product: denort and the npm packages that its bundle has code of.
 *
 * @param identity of its build
 */
export function programProduct(program: Compiled, identity: string): Omit<Product, "key"> {
  const { path, npmPackages, denortSha256 } = program;
  return {
    name: path.slice(path.lastIndexOf("/") + 1),
    version: identity,
    file: path,
    components: async (): Promise<Component[]> => {
      const lock: DenoLock = JSON.parse(await Deno.readTextFile(`${REPOSITORY}/deno.lock`));
      return [denortComponent(denortSha256), ...npmPackages.map((id) => npmComponent(id, lock))];
    },
  };
}
