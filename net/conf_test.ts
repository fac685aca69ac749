import assert from "node:assert/strict";
import fc from "fast-check";
import { findNetwork, parseConf, readConfFolder } from "./conf.ts";
import { NetworkError } from "./error.ts";

const list = (value: Record<string, unknown>) =>
  JSON.stringify({ cniVersion: "1.0.0", name: "net", plugins: [{ type: "bridge" }], ...value });

Deno.test("a list and a single plugin are both a list", () => {
  const conf = parseConf(list({ disableCheck: true }), "f");
  assert.deepEqual([conf.name, conf.cniVersion, conf.disableCheck], ["net", "1.0.0", true]);
  const single = parseConf('{"cniVersion":"0.4.0","name":"one","type":"ptp","mtu":9000}', "f");
  assert.deepEqual(single.plugins, [{ type: "ptp", mtu: 9000 }]);
});

Deno.test("the highest version that both speak is chosen", () => {
  const versions = { cniVersion: "0.4.0", cniVersions: ["1.0.0", "1.1.0", "9.0.0"] };
  assert.equal(parseConf(list(versions), "f").cniVersion, "1.1.0");
});

for (
  const [what, text, message] of [
    ["no JSON", "{", /^\/d\/x\.conf is not JSON/],
    ["no name", list({ name: undefined }), /x\.conf is no CNI configuration: name/],
    ["a path as the type", list({ plugins: [{ type: "../sh" }] }), /plugins\.0\.type/],
    ["no plugins", list({ plugins: [] }), /plugins: must name a plugin/],
    ["an unknown version", list({ cniVersion: "7.0.0" }), /cniVersion 7\.0\.0; versions that can/],
    ["no version", list({ cniVersion: undefined }), /cniVersion is missing/],
    ["a list", "[]", /x\.conf is no CNI/],
    ["null", "null", /x\.conf is no CNI/],
  ] as const
) {
  Deno.test(`a configuration with ${what} is refused by its file's name`, () => {
    assert.throws(() => parseConf(text, "/d/x.conf"), (error) => {
      assert(error instanceof NetworkError && error.kind === "config");
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("any JSON is a configuration or refused", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    try {
      parseConf(text, "f");
    } catch (error) {
      assert(error instanceof NetworkError, String(error));
    }
  }));
});

Deno.test("a folder is read in the order of names, and what is broken does not hide the rest", () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/20-b.conflist`, list({ name: "b" }));
    Deno.writeTextFileSync(`${folder}/10-a.conf`, '{"cniVersion":"1.0.0","name":"a","type":"ptp"}');
    Deno.writeTextFileSync(`${folder}/30-b.conflist`, list({ name: "b", disableGC: true }));
    Deno.writeTextFileSync(`${folder}/README`, "no configuration");
    const read = readConfFolder(folder);
    assert.deepEqual(read.networks.map(({ name, disableGC }) => [name, disableGC]), [
      ["a", false],
      ["b", false],
    ]);
    assert.throws(() => findNetwork(read, "c"), /network c is not in .* \(there: a, b\)/);
    Deno.writeTextFileSync(`${folder}/00-bad.conf`, "{");
    assert.equal(findNetwork(readConfFolder(folder), "a").name, "a");
    assert.throws(() => findNetwork(readConfFolder(folder), "c"), /00-bad\.conf is not JSON/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  assert.deepEqual(readConfFolder(folder).networks, []);
});
