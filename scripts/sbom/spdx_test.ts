/** Checked by hand against SPDX 2.3's mandatory fields: documents, packages, relationships. */

import assert from "node:assert/strict";
import { type Component, debianComponent, denortComponent, npmComponent } from "./component.ts";
import { spdxText } from "./spdx.ts";

const A = "a".repeat(64);
const LIBC = debianComponent({ name: "libc6", version: "2.43-7", sha256: A });
const LIBSTDC = debianComponent({ name: "libstdc++6", version: "1:16~rc1-3", sha256: A });
const SHA512 = `sha512-${btoa("\x01".repeat(64))}`;
const ZOD = npmComponent("zod@4.6.7", { npm: { "zod@4.6.7": { integrity: SHA512 } } });

function program(...parts: Component[]): Component {
  const checksum = { algorithm: "SHA256", value: "b".repeat(64) } as const;
  return { name: "vminitd", version: "0.1.0 (commit 1a2b)", purl: null, checksum, parts };
}

const IMAGE: Component = {
  ...program(LIBSTDC, program(denortComponent(A), ZOD), LIBC, { ...LIBC, isSource: true }),
  name: "image",
};

// deno-lint-ignore no-explicit-any -- the tests check what is in there
function documentOf(component: Component): any {
  return JSON.parse(spdxText(component));
}

Deno.test("the document has the mandatory fields", () => {
  const document = documentOf(IMAGE);
  assert.equal(document.spdxVersion, "SPDX-2.3");
  assert.equal(document.dataLicense, "CC0-1.0");
  assert.equal(document.SPDXID, "SPDXRef-DOCUMENT");
  assert.equal(document.name, "image");
  assert.match(document.documentNamespace, /^https:\/\/[^#\s]+-[0-9a-f]{64}$/);
  assert.match(document.creationInfo.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.match(document.creationInfo.creators[0], /^Tool: \S+$/);
});

Deno.test("each package has its mandatory fields and a checksum", () => {
  const { packages } = documentOf(IMAGE);
  const names = packages.map(({ name }: { name: string }) => name);
  assert.deepEqual(names, ["image", "libc6", "libstdc++6", "vminitd", "denort", "v8", "zod"]);
  const ids = new Set(packages.map(({ SPDXID }: { SPDXID: string }) => SPDXID));
  assert.equal(ids.size, packages.length);
  for (const entry of packages) {
    assert.match(entry.SPDXID, /^SPDXRef-[A-Za-z0-9.-]+$/);
    assert.match(entry.versionInfo, /\d/);
    assert.equal(entry.downloadLocation, "NOASSERTION");
    assert.equal(entry.filesAnalyzed, false);
    // V8 is a part of denort, whose checksum covers it.
    if (entry.name === "v8") assert.match(entry.comment, /checksum covers it/);
    else {
      const [{ algorithm, checksumValue }] = entry.checksums;
      assert.match(checksumValue, algorithm === "SHA512" ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/);
    }
    for (const { referenceCategory, referenceType, referenceLocator } of entry.externalRefs ?? []) {
      assert.deepEqual([referenceCategory, referenceType], ["PACKAGE-MANAGER", "purl"]);
      assert.match(referenceLocator, /^pkg:[a-z]+\/[^\s@]+@[^\s@]+$/);
    }
  }
});

Deno.test("relationships lead from the document to each package", () => {
  const { packages, relationships } = documentOf(IMAGE);
  const seen = new Set(["SPDXRef-DOCUMENT"]);
  for (const { spdxElementId, relationshipType, relatedSpdxElement } of relationships) {
    assert.ok(seen.has(spdxElementId), spdxElementId);
    assert.ok(["DESCRIBES", "CONTAINS", "GENERATED_FROM"].includes(relationshipType));
    seen.add(relatedSpdxElement);
  }
  assert.equal(relationships[0].relationshipType, "DESCRIBES");
  assert.equal(seen.size, packages.length + 1);
});

Deno.test("the same components give the same bytes in any order; others another name space", () => {
  assert.equal(spdxText(program(LIBC, ZOD)), spdxText(program(ZOD, LIBC)));
  const [one, other] = [documentOf(program(LIBC)), documentOf(program(LIBC, ZOD))];
  assert.notEqual(one.documentNamespace, other.documentNamespace);
});

Deno.test("two different components with one id are an error", () => {
  const other = { ...LIBC, checksum: { algorithm: "SHA256", value: "c".repeat(64) } } as const;
  assert.throws(() => spdxText(program(LIBC, other)), /two components have the id SPDXRef-Pack/);
});
