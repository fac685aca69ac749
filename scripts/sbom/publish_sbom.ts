/** Writes the bill of materials of a file of the product beside it. */

import { cached, fileSha256, hashOf, keepNewest } from "../lib/cache.ts";
import { publish } from "../lib/output.ts";
import type { Component } from "./component.ts";
import { spdxText } from "./spdx.ts";

/** Increased when documents of the same files change, or which components a product has. */
const SBOM_FORMAT = 1;

/** A file of the product. */
export interface Product {
  readonly name: string;
  readonly version: string;
  /** The file, in `_output/` or in the cache. */
  readonly file: string;
  /** Changes if the file or its components do. */
  readonly key: string;
  /** Asked only if the cache has no document. */
  components(): Promise<readonly Component[]>;
}

/** Writes `_output/NAME.spdx.json`. Costs nothing if the cache has it: no file is hashed again. */
export async function publishSbom(product: Product): Promise<void> {
  const { name, version, key } = product;
  const entry = `sbom/${name}-${hashOf(`${SBOM_FORMAT}`, name, version, key)}`;
  const document = await cached(entry, async (path) => {
    await Deno.writeTextFile(path, spdxText(await productComponent(product)));
  });
  await keepNewest("sbom", `${name}-`);
  await publish(document, `${name}.spdx.json`);
}

/** Returns a product as a component, with what is in it. */
export async function productComponent(product: Omit<Product, "key">): Promise<Component> {
  const { name, version, file } = product;
  return {
    name,
    version,
    purl: null,
    checksum: { algorithm: "SHA256", value: await fileSha256(file) },
    parts: await product.components(),
  };
}
