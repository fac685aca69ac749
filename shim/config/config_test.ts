import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError, type ConfigSources, resolveConfig } from "./config.ts";
import { SETTINGS } from "./settings.ts";

function resolve(sources: Partial<ConfigSources>) {
  return resolveConfig({ file: null, environment: {}, annotations: {}, ...sources });
}

Deno.test("the defaults are the documented paths", () => {
  const config = resolve({});
  assert.equal(config.shareDir, "/usr/share/qemubox");
  assert.equal(config.qemuPath, null);
  assert.equal(config.stateDir, "/var/lib/qemubox");
  assert.equal(config.logDir, "/var/log/qemubox");
  assert.equal(config.accelerator, "auto");
  assert.equal(config.drainTimeoutMs, 30_000);
});

Deno.test("annotation beats environment beats file beats default", () => {
  const file = JSON.stringify({ accelerator: "kvm", share_dir: "/from/file" });
  const environment = { QEMUBOX_ACCELERATOR: "auto" };
  const annotations = { "io.qemubox.accelerator": "tcg" };
  assert.equal(resolve({ file }).accelerator, "kvm");
  assert.equal(resolve({ file, environment }).accelerator, "auto");
  assert.equal(resolve({ file, environment, annotations }).accelerator, "tcg");
  assert.equal(resolve({ file }).shareDir, "/from/file");
});

Deno.test("what is not understood is refused with the key's name", () => {
  const cases: [Partial<ConfigSources>, RegExp][] = [
    [{ file: "{" }, /config\.json is not JSON/],
    [{ file: "[]" }, /config\.json/],
    [{ file: '{"qemu_pth":"/x"}' }, /qemu_pth/],
    [{ file: '{"qemu_path":"x"}' }, /qemu_path.*absolute path/],
    [{ file: '{"boot_timeout_seconds":-1}' }, /boot_timeout_seconds/],
    [{ environment: { QEMUBOX_ACCELERATOR: "hvf" } }, /QEMUBOX_ACCELERATOR="hvf"/],
    [{ environment: { QEMUBOX_SHARE_DIR: "relative" } }, /QEMUBOX_SHARE_DIR.*absolute/],
    [{ file: '{"accelerator":null}' }, /accelerator/],
    [{ file: '{"vcpus":2}' }, /vcpus/],
    [{ file: '{"default_vcpus":"2"}' }, /default_vcpus/],
    [
      { environment: { QEMUBOX_STATEDIR: "/x" } },
      /QEMUBOX_STATEDIR is not known.*QEMUBOX_STATE_DIR/,
    ],
    [{ environment: { QEMUBOX_VCPUS: "2" } }, /QEMUBOX_VCPUS is not known/],
    [{ annotations: { "io.qemubox.vcpus": "1.5" } }, /io\.qemubox\.vcpus="1\.5"/],
    [{ annotations: { "io.qemubox.vcpus": "0" } }, /io\.qemubox\.vcpus="0"/],
    [{ annotations: { "io.qemubox.memory-mib": "1GiB" } }, /io\.qemubox\.memory-mib="1GiB"/],
    [{ annotations: { "io.qemubox.qemu-path": "/x" } }, /io\.qemubox\.qemu-path is not known/],
    [{ annotations: { "io.qemubox.boot-timeout-seconds": "soon" } }, /boot-timeout-seconds="soon"/],
  ];
  for (const [sources, expected] of cases) {
    assert.throws(() => resolve(sources), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, expected);
      return true;
    });
  }
});

Deno.test("texts are numbers where numbers are wanted; an empty variable is none", () => {
  const environment = { QEMUBOX_DRAIN_TIMEOUT_SECONDS: "0.5", QEMUBOX_CNI_NETWORK: "7" };
  const annotations = { "io.qemubox.vcpus": "2" };
  const config = resolve({ environment: { ...environment, QEMUBOX_LOG_DIR: "" }, annotations });
  const { drainTimeoutMs, cniNetwork, vcpus, logDir } = config;
  assert.deepEqual([drainTimeoutMs, cniNetwork, vcpus], [500, "7", 2]);
  assert.equal(logDir, "/var/log/qemubox");
});

Deno.test("variables of ours that are no settings", () => {
  const environment = { QEMUBOX_VM: "default/c1", QEMUBOX_TESTBED: "1", QEMUBOX_LAB: "1" };
  assert.deepEqual(resolve({ environment }), resolve({}));
});

Deno.test("any text is a configuration or a ConfigError", () => {
  const key = fc.constantFrom(...Object.keys(SETTINGS), "x");
  const object = fc.dictionary(key, fc.oneof(fc.string(), fc.double(), fc.jsonValue()));
  fc.assert(fc.property(fc.oneof(fc.string(), object.map((one) => JSON.stringify(one))), (file) => {
    try {
      resolve({ file });
    } catch (error) {
      assert(error instanceof ConfigError, String(error));
    }
  }));
});

Deno.test("other annotations are none of ours", () => {
  assert.equal(resolve({ annotations: { "io.kubernetes.cri.foo": "x" } }).accelerator, "auto");
});
