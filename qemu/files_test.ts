import assert from "node:assert/strict";
import { type FileSettings, locateFiles } from "./files.ts";

const SETTINGS: FileSettings = {
  shareDir: "/usr/share/qemubox",
  qemuPath: null,
  kernelPath: null,
  rootPath: null,
  initrdPath: null,
  firmwarePath: null,
  virtiofsdPath: null,
  vhostDeviceVsockPath: null,
  needsVhostDeviceVsock: true,
};
const KERNEL = "/usr/share/qemubox/kernel/qemubox-kernel-x86_64";
const ROOT = "/usr/share/qemubox/kernel/qemubox-root";
const INITRD = "/usr/share/qemubox/kernel/qemubox-initrd";
const DEBIAN = [
  KERNEL,
  ROOT,
  INITRD,
  "/usr/bin/qemu-system-x86_64",
  "/usr/share/qemu/qboot.rom",
  "/usr/libexec/virtiofsd",
  "/usr/bin/vhost-device-vsock",
  "/usr/bin/setpriv",
  "/usr/bin/prlimit",
];
const among = (files: string[]) => (path: string) => files.includes(path);

Deno.test("locateFiles finds every file where Debian installs it", () => {
  assert.deepEqual(locateFiles(SETTINGS, among(DEBIAN)), {
    qemuPath: "/usr/bin/qemu-system-x86_64",
    kernelPath: KERNEL,
    rootPath: ROOT,
    initrdPath: INITRD,
    firmwarePath: "/usr/share/qemu/qboot.rom",
    virtiofsdPath: "/usr/libexec/virtiofsd",
    vhostDeviceVsockPath: "/usr/bin/vhost-device-vsock",
    setprivPath: "/usr/bin/setpriv",
    prlimitPath: "/usr/bin/prlimit",
  });
});

Deno.test("the share directory comes before the distribution's places", () => {
  const own = ["qemu-system-x86_64", "virtiofsd", "vhost-device-vsock"].map((name) =>
    `/usr/share/qemubox/bin/${name}`
  );
  const files = locateFiles(SETTINGS, among([...DEBIAN, ...own]));
  assert.deepEqual([files.qemuPath, files.virtiofsdPath, files.vhostDeviceVsockPath], own);
});

Deno.test("an explicit path is the only one searched", () => {
  const settings = { ...SETTINGS, qemuPath: "/opt/qemu/bin/qemu-system-x86_64" };
  assert.throws(() => locateFiles(settings, among(DEBIAN)), {
    kind: "not-found",
    message: "qemu-system-x86_64 binary not found at /opt/qemu/bin/qemu-system-x86_64: install " +
      "QEMU (Debian: qemu-system-x86, Fedora: qemu-system-x86-core) or set QEMUBOX_QEMU_PATH",
  });
  const firmware = "/opt/qemu/share/qemu/qboot.rom";
  const files = [...DEBIAN.filter((path) => !path.endsWith("rom")), settings.qemuPath, firmware];
  assert.equal(locateFiles(settings, among(files)).firmwarePath, firmware);
});

Deno.test("an explicit path that equals the default does not exclude the others", () => {
  const qemuPath = "/usr/share/qemubox/bin/qemu-system-x86_64";
  const files = locateFiles({ ...SETTINGS, qemuPath }, among(DEBIAN));
  assert.equal(files.qemuPath, "/usr/bin/qemu-system-x86_64");
});

const MISSING: [string, string][] = [
  ["/usr/bin/qemu-system-x86_64", "qemu-system-x86_64 binary not found at /usr/share/qemubox/bin/"],
  [KERNEL, `kernel not found at ${KERNEL}: build it`],
  [ROOT, `root image not found at ${ROOT}: build it`],
  [INITRD, `initrd not found at ${INITRD}: build it`],
  ["/usr/share/qemu/qboot.rom", "firmware qboot.rom not found at /usr/share/qemubox/firmware/"],
  ["/usr/libexec/virtiofsd", "virtiofsd binary not found at /usr/share/qemubox/bin/virtiofsd"],
  ["/usr/bin/vhost-device-vsock", "vhost-device-vsock binary not found at /usr/share/qemubox/bin/"],
  [
    "/usr/bin/setpriv",
    "setpriv binary not found at /usr/bin/setpriv (nor at /bin/setpriv): install",
  ],
];
for (const [gone, message] of MISSING) {
  Deno.test(`without ${gone} the error names the place and the fix`, () => {
    const exists = among(DEBIAN.filter((path) => path !== gone));
    assert.throws(
      () => locateFiles(SETTINGS, exists),
      (error: Error) => error.message.startsWith(message) && !error.message.endsWith("."),
    );
  });
}

Deno.test("vhost-device-vsock is not required where the kernel has vsock", () => {
  const exists = among(DEBIAN.filter((path) => !path.includes("vsock")));
  const files = locateFiles({ ...SETTINGS, needsVhostDeviceVsock: false }, exists);
  assert.equal(files.vhostDeviceVsockPath, null);
});
