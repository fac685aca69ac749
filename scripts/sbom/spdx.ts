/**
 * Bills of materials in the format SPDX 2.3 (spdx.github.io/spdx-spec/v2.3). The same product and
 * components give the same bytes: there is no wall-clock time, and the document's name space is a
 * hash of its content.
 */

import { createHash } from "node:crypto";
import type { Component } from "./component.ts";

/**
 * Returns the document about `product` as indented JSON.
 *
 * @throws {Error} if two different components would have the same id
 */
export function spdxText(product: Component): string {
  const packages = new Map<string, SpdxPackage>();
  const relationships = [relationship(DOCUMENT, "DESCRIBES", idOf(product))];
  const add = (component: Component) => {
    const entry = packageOf(component);
    const known = packages.get(entry.SPDXID);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(entry)) {
      throw new Error(`two components have the id ${entry.SPDXID}`);
    }
    packages.set(entry.SPDXID, entry);
    for (const part of [...component.parts].sort(byName)) {
      const type = part.isSource === true ? "GENERATED_FROM" : "CONTAINS";
      relationships.push(relationship(entry.SPDXID, type, idOf(part)));
      add(part);
    }
  };
  add(product);
  const content = { packages: [...packages.values()], relationships };
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: DOCUMENT,
    name: product.name,
    documentNamespace: `https://spdx.org/spdxdocs/${product.name}-${digest}`,
    creationInfo: {
      created: CREATED,
      creators: ["Tool: qemubox-build"],
      comment: "The time is fixed, so that builds of the same inputs have the same bytes.",
    },
    ...content,
  };
  return JSON.stringify(document, null, 2) + "\n";
}

const DOCUMENT = "SPDXRef-DOCUMENT";
/** The format requires a time. */
const CREATED = "2000-01-01T00:00:00Z";
const UNKNOWN = "NOASSERTION";

interface SpdxPackage {
  readonly SPDXID: string;
  readonly [field: string]: unknown;
}

interface Relationship {
  readonly spdxElementId: string;
  readonly relationshipType: string;
  readonly relatedSpdxElement: string;
}

function relationship(from: string, type: string, to: string): Relationship {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}

function packageOf(component: Component): SpdxPackage {
  const { name, version, purl, checksum } = component;
  const reference = { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl" };
  return {
    SPDXID: idOf(component),
    name,
    versionInfo: version,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: UNKNOWN,
    copyrightText: UNKNOWN,
    ...(checksum === null
      ? { comment: "Part of the package that contains it, whose checksum covers it." }
      : { checksums: [{ algorithm: checksum.algorithm, checksumValue: checksum.value }] }),
    ...(purl === null ? {} : { externalRefs: [{ ...reference, referenceLocator: purl }] }),
  };
}

/** Ids have letters, digits, dots and hyphens only; others become their code. */
function idOf({ name, version }: Component): string {
  const plain = `${name}-${version}`.replace(/[^A-Za-z0-9.-]/g, (c) => `.${c.charCodeAt(0)}.`);
  return `SPDXRef-Package-${plain}`;
}

function byName(a: Component, b: Component): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
