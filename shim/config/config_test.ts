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

Deno.test("an unknown key or invalid value is refused by an error that names it", () => {
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
      /^environment variable QEMUBOX_STATEDIR is unknown: use one of .*QEMUBOX_STATE_DIR/,
    ],
    [
      { environment: { QEMUBOX_VCPUS: "2" } },
      /^environment variable QEMUBOX_VCPUS is unknown: use one of /,
    ],
    [{ annotations: { "io.qemubox.vcpus": "1.5" } }, /io\.qemubox\.vcpus="1\.5"/],
    [{ annotations: { "io.qemubox.vcpus": "0" } }, /io\.qemubox\.vcpus="0"/],
    [{ annotations: { "io.qemubox.memory-mib": "1GiB" } }, /io\.qemubox\.memory-mib="1GiB"/],
    [
      { annotations: { "io.qemubox.qemu-path": "/x" } },
      /^annotation io\.qemubox\.qemu-path is unknown: use one of /,
    ],
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

Deno.test("texts become numbers where the setting is one; an empty variable does not count", () => {
  const environment = { QEMUBOX_DRAIN_TIMEOUT_SECONDS: "0.5", QEMUBOX_CNI_NETWORK: "7" };
  const annotations = { "io.qemubox.vcpus": "2" };
  const config = resolve({ environment: { ...environment, QEMUBOX_LOG_DIR: "" }, annotations });
  const { drainTimeoutMs, cniNetwork, vcpus, logDir } = config;
  assert.deepEqual([drainTimeoutMs, cniNetwork, vcpus], [500, "7", 2]);
  assert.equal(logDir, "/var/log/qemubox");
});

Deno.test("variables of ours that are not settings are ignored", () => {
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

Deno.test("annotations of other programs are ignored", () => {
  assert.equal(resolve({ annotations: { "io.kubernetes.cri.foo": "x" } }).accelerator, "auto");
});
