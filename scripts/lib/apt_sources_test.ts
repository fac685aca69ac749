import assert from "node:assert/strict";
import fc from "fast-check";
import { hostMirror, mirrorOf, parseListFile, parseSourcesFile } from "./apt_sources.ts";

Deno.test("one-line sources are read without options, comments and deb-src", () => {
  const text = [
    "# deb http://commented.invalid/debian bookworm main",
    "deb [arch=amd64 signed-by=/k.gpg] http://a.invalid/debian bookworm main contrib # why",
    "deb-src http://a.invalid/debian bookworm main",
    "  deb\thttps://b.invalid/x  stable   main  ",
    "deb http://flat.invalid/ ./",
  ].join("\n");
  assert.deepEqual(parseListFile(text), [
    { uri: "http://a.invalid/debian", suite: "bookworm", components: ["main", "contrib"] },
    { uri: "https://b.invalid/x", suite: "stable", components: ["main"] },
    { uri: "http://flat.invalid/", suite: "./", components: [] },
  ]);
});

Deno.test("deb822 sources are read with several suites, folded fields, comments, disabled stanzas", () => {
  const text = `Types: deb deb-src
# a comment inside a stanza
URIs: http://a.invalid/debian
Suites: bookworm
 bookworm-updates
Components: main

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://src.invalid/debian
Suites: bookworm
Components: main
`;
  assert.deepEqual(parseSourcesFile(text), [
    { uri: "http://a.invalid/debian", suite: "bookworm", components: ["main"] },
    { uri: "http://a.invalid/debian", suite: "bookworm-updates", components: ["main"] },
  ]);
});

Deno.test("the mirror is Debian's main archive, not a security or third-party archive", () => {
  const main = ["main"];
  assert.equal(
    mirrorOf([
      { uri: "http://vendor.invalid/apt", suite: "cloud-bookworm", components: main },
      {
        uri: "http://security.invalid/debian-security",
        suite: "bookworm-security",
        components: main,
      },
      { uri: "http://other.invalid/debian/", suite: "sid", components: main },
      { uri: "http://mirror.invalid/debian/", suite: "bookworm", components: main },
    ], ["bookworm"]),
    "http://mirror.invalid/debian",
  );
  assert.equal(
    mirrorOf([{ uri: "http://m.invalid/d", suite: "stable", components: main }], ["bookworm"]),
    "http://m.invalid/d",
  );
  assert.equal(mirrorOf([{ uri: "cdrom:[x]/", suite: "bookworm", components: main }], []), null);
});

Deno.test("hostMirror fails without a mirror, and ignores files apt ignores", () => {
  const etc = Deno.makeTempDirSync();
  try {
    assert.throws(() => hostMirror(etc), /no Debian mirror/);
    Deno.mkdirSync(`${etc}/apt/sources.list.d`, { recursive: true });
    Deno.writeTextFileSync(`${etc}/os-release`, 'ID=debian\nVERSION_CODENAME="bookworm"\n');
    Deno.writeTextFileSync(
      `${etc}/apt/sources.list.d/debian.sources`,
      "Types: deb\nURIs: http://a.invalid/debian\nSuites: bookworm\nComponents: main\n",
    );
    Deno.writeTextFileSync(
      `${etc}/apt/sources.list.d/debian.sources.bak`,
      "Types: deb\nURIs: http://bak.invalid\nSuites: bookworm\nComponents: main\n",
    );
    assert.equal(hostMirror(etc), "http://a.invalid/debian");
  } finally {
    Deno.removeSync(etc, { recursive: true });
  }
});

Deno.test("property: parsers accept any text and return only words from it", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    for (const parse of [parseListFile, parseSourcesFile]) {
      for (const { uri, suite } of parse(text)) {
        assert.ok(text.includes(uri) && text.includes(suite));
      }
    }
  }));
});
