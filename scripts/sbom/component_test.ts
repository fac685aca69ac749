import assert from "node:assert/strict";
import { REPOSITORY } from "../lib/paths.ts";
import { debianComponent, npmComponent } from "./component.ts";

Deno.test("package URLs escape what their syntax uses", () => {
  const fact = { name: "libstdc++6", version: "1:2+b1~rc", sha256: "a".repeat(64) };
  assert.equal(
    debianComponent(fact).purl,
    "pkg:deb/debian/libstdc%2B%2B6@1%3A2%2Bb1~rc?arch=amd64",
  );
});

Deno.test("an npm package has the hash of deno.lock; one that is missing there is an error", () => {
  const lock = JSON.parse(Deno.readTextFileSync(`${REPOSITORY}/deno.lock`));
  const id = Object.keys(lock.npm).find((id) => id.startsWith("@logtape/logtape@"))!;
  const { name, version, purl, checksum } = npmComponent(id, lock);
  assert.equal(`${name}@${version}`, id);
  assert.equal(purl, `pkg:npm/%40logtape/logtape@${version}`);
  assert.match(checksum!.value, /^[0-9a-f]{128}$/);
  assert.throws(() => npmComponent("zod@0.0.1", lock), /no SHA-512 of the npm package zod@0.0.1/);
});
