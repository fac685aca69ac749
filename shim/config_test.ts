import assert from "node:assert/strict";
import { ConfigError, type ConfigSources, resolveConfig } from "./config.ts";

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

Deno.test("other annotations are none of ours", () => {
  assert.equal(resolve({ annotations: { "io.kubernetes.cri.foo": "x" } }).accelerator, "auto");
});
