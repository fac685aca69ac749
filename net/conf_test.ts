import assert from "node:assert/strict";
import fc from "fast-check";
import { findNetwork, parseConf, readConfFolder } from "./conf.ts";
import { NetworkError } from "./error.ts";

const list = (value: Record<string, unknown>) =>
  JSON.stringify({ cniVersion: "1.0.0", name: "net", plugins: [{ type: "bridge" }], ...value });

Deno.test("parseConf reads a list, and a single plugin as a list of one", () => {
  const conf = parseConf(list({ disableCheck: true }), "f");
  assert.deepEqual([conf.name, conf.cniVersion, conf.disableCheck], ["net", "1.0.0", true]);
  const single = parseConf('{"cniVersion":"0.4.0","name":"one","type":"ptp","mtu":9000}', "f");
  assert.deepEqual(single.plugins, [{ type: "ptp", mtu: 9000 }]);
});

Deno.test("parseConf chooses the highest version that both sides support", () => {
  const versions = { cniVersion: "0.4.0", cniVersions: ["1.0.0", "1.1.0", "9.0.0"] };
  assert.equal(parseConf(list(versions), "f").cniVersion, "1.1.0");
});

for (
  const [what, text, message] of [
    ["no JSON", "{", /^\/d\/x\.conf is not JSON/],
    ["no name", list({ name: undefined }), /x\.conf is not a CNI configuration: name/],
    ["a path as the type", list({ plugins: [{ type: "../sh" }] }), /plugins\.0\.type/],
    ["no plugins", list({ plugins: [] }), /plugins: must name at least one plugin/],
    [
      "an unknown version",
      list({ cniVersion: "7.0.0" }),
      /cniVersion 7\.0\.0 is not supported; supported versions are/,
    ],
    ["no version", list({ cniVersion: undefined }), /cniVersion is missing/],
    ["a list", "[]", /x\.conf is not a CNI/],
    ["null", "null", /x\.conf is not a CNI/],
  ] as const
) {
  Deno.test(`parseConf refuses a configuration with ${what} and names the file`, () => {
    assert.throws(() => parseConf(text, "/d/x.conf"), (error) => {
      assert(error instanceof NetworkError && error.kind === "config");
      assert.match(error.message, message);
      return true;
    });
  });
}

Deno.test("parseConf accepts any JSON or throws a NetworkError", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    try {
      parseConf(text, "f");
    } catch (error) {
      assert(error instanceof NetworkError, String(error));
    }
  }));
});

Deno.test("readConfFolder reads files in the order of names, and a broken one hides no other", () => {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/20-b.conflist`, list({ name: "b" }));
    Deno.writeTextFileSync(
      `${directory}/10-a.conf`,
      '{"cniVersion":"1.0.0","name":"a","type":"ptp"}',
    );
    Deno.writeTextFileSync(`${directory}/30-b.conflist`, list({ name: "b", disableGC: true }));
    Deno.writeTextFileSync(`${directory}/README`, "no configuration");
    const read = readConfFolder(directory);
    assert.deepEqual(read.networks.map(({ name, disableGC }) => [name, disableGC]), [
      ["a", false],
      ["b", false],
    ]);
    assert.throws(() => findNetwork(read, "c"), /network c is not in .* \(there: a, b\)/);
    Deno.writeTextFileSync(`${directory}/00-bad.conf`, "{");
    assert.equal(findNetwork(readConfFolder(directory), "a").name, "a");
    assert.throws(() => findNetwork(readConfFolder(directory), "c"), /00-bad\.conf is not JSON/);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  assert.deepEqual(readConfFolder(directory).networks, []);
});
