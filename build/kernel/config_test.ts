import assert from "node:assert/strict";
import { formatConfig, parseConfig, unfulfilled } from "./config.ts";

const FRAGMENT = parseConfig(Deno.readTextFileSync(new URL("qemubox.config", import.meta.url)));

Deno.test("parseConfig reads the format of kconfig", () => {
  const config = parseConfig(
    '# x\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="-q"\nCONFIG_D=-1\n',
  );
  assert.deepEqual([...config], [
    ["CONFIG_A", "y"],
    ["CONFIG_B", "n"],
    ["CONFIG_C", '"-q"'],
    ["CONFIG_D", "-1"],
  ]);
});

Deno.test("formatConfig round-trips a configuration without its comments", () => {
  const text = formatConfig(FRAGMENT);
  assert.doesNotMatch(text, /#/);
  assert.deepEqual(parseConfig(text), FRAGMENT);
});

Deno.test("unfulfilled names options that were dropped, changed or forced on", () => {
  const fragment = parseConfig("CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=64\nCONFIG_D=n\nCONFIG_E=y\n");
  const config = parseConfig("CONFIG_B=y\nCONFIG_C=8\n# CONFIG_E is not set\n");
  assert.deepEqual(unfulfilled(fragment, config), [
    "CONFIG_A: wanted y, got n (unknown to this kernel, or a dependency is off)",
    "CONFIG_B: wanted n, got y",
    "CONFIG_C: wanted 64, got 8",
    "CONFIG_E: wanted y, got n",
  ]);
});

Deno.test("the fragment names each option once", () => {
  const text = Deno.readTextFileSync(new URL("qemubox.config", import.meta.url));
  const lines = text.split("\n").filter((line) => line.startsWith("CONFIG_"));
  assert.equal(lines.length, FRAGMENT.size);
});

Deno.test("every group of the fragment has a comment with its reason", () => {
  const text = Deno.readTextFileSync(new URL("qemubox.config", import.meta.url));
  const groups = text.split(/^# --- /m).slice(1);
  assert.ok(groups.length > 10);
  for (const group of groups) {
    const [title, first] = group.split("\n");
    assert.match(title!, /^[A-Z].* -+$/);
    assert.match(first!, /^(# \w|CONFIG_)/, `${title}: nothing follows`);
    assert.match(group, /\n# \w/, `${title}: no comment says why`);
  }
});

Deno.test("the fragment has the options that qemubox needs", () => {
  for (
    const option of [
      ...["PVH", "KVM_GUEST", "VIRTIO_MMIO_CMDLINE_DEVICES", "BLK_DEV_INITRD", "DEVTMPFS"],
      ...["VIRTIO_VSOCKETS", "VIRTIO_FS", "VIRTIO_BLK", "VIRTIO_NET", "VIRTIO_BALLOON"],
      ...["OVERLAY_FS", "EROFS_FS_BACKED_BY_FILE", "EXT4_FS", "CGROUP_BPF", "SECCOMP_FILTER"],
    ]
  ) assert.equal(FRAGMENT.get(`CONFIG_${option}`), "y", option);
  assert.equal(FRAGMENT.get("CONFIG_PANIC_TIMEOUT"), "-1");
  assert.equal(FRAGMENT.get("CONFIG_MODULES"), "n");
});
