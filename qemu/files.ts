import { VmError } from "./error.ts";

/** Paths of the files of a VM. null: search where distributions install them. */
export interface FileSettings {
  readonly shareDir: string;
  readonly qemuPath: string | null;
  readonly kernelPath: string | null;
  readonly rootPath: string | null;
  readonly initrdPath: string | null;
  readonly firmwarePath: string | null;
  readonly virtiofsdPath: string | null;
  /** Used only if `needsVhostDeviceVsock`. */
  readonly vhostDeviceVsockPath: string | null;
  readonly needsVhostDeviceVsock: boolean;
}

/** The files of a VM, each of which exists. */
export interface VmFiles {
  readonly qemuPath: string;
  readonly kernelPath: string;
  /** EROFS image with the guest's root file system, which stage 0 in the initrd mounts. */
  readonly rootPath: string;
  readonly initrdPath: string;
  readonly firmwarePath: string;
  readonly virtiofsdPath: string;
  /** null if it is not needed. */
  readonly vhostDeviceVsockPath: string | null;
  readonly setprivPath: string;
  readonly prlimitPath: string;
}

interface Wanted {
  /** Name in messages. */
  readonly what: string;
  /** Path that the user set; then no other place is searched. */
  readonly asked: string | null;
  readonly places: readonly string[];
  readonly fix: string;
}

/**
 * Locates every file. Pure over `exists`.
 *
 * @throws VmError `not-found`, naming the missing file and the fix.
 */
export function locateFiles(
  settings: FileSettings,
  exists: (path: string) => boolean = isFile,
): VmFiles {
  const { shareDir } = settings;
  const find = (wanted: Wanted) => locate(wanted, exists);
  const image = (what: string, asked: string | null, name: string, task: string) =>
    find({
      what,
      asked,
      places: [`${shareDir}/kernel/${name}`],
      fix: `build it with \`scripts/deno task ${task}\` and install it there, ` +
        "or set QEMUBOX_SHARE_DIR",
    });
  const qemuPath = find({
    what: "qemu-system-x86_64 binary",
    asked: unlessDefault(settings.qemuPath, `${shareDir}/bin/qemu-system-x86_64`),
    places: [`${shareDir}/bin/qemu-system-x86_64`, "/usr/bin/qemu-system-x86_64"],
    fix: "install QEMU (Debian: qemu-system-x86, Fedora: qemu-system-x86-core) " +
      "or set QEMUBOX_QEMU_PATH",
  });
  return {
    qemuPath,
    kernelPath: image("kernel", settings.kernelPath, "qemubox-kernel-x86_64", "build:kernel"),
    rootPath: image("root image", settings.rootPath, "qemubox-root", "build:root"),
    initrdPath: image("initrd", settings.initrdPath, "qemubox-initrd", "build:initrd"),
    firmwarePath: find({
      what: "firmware qboot.rom",
      asked: settings.firmwarePath,
      places: firmwarePlaces(shareDir, qemuPath),
      fix: "install it (Debian: qemu-system-data, Fedora: qemu-common) or set firmware_path in " +
        "/etc/qemubox/config.json",
    }),
    virtiofsdPath: find({
      what: "virtiofsd binary",
      asked: settings.virtiofsdPath,
      places: [
        `${shareDir}/bin/virtiofsd`,
        "/usr/libexec/virtiofsd",
        "/usr/lib/qemu/virtiofsd",
        "/usr/lib/virtiofsd",
        "/usr/bin/virtiofsd",
      ],
      fix: "install virtiofsd or set virtiofsd_path in /etc/qemubox/config.json",
    }),
    vhostDeviceVsockPath: settings.needsVhostDeviceVsock
      ? find({
        what: "vhost-device-vsock binary",
        asked: settings.vhostDeviceVsockPath,
        places: [
          `${shareDir}/bin/vhost-device-vsock`,
          "/usr/bin/vhost-device-vsock",
          "/usr/libexec/vhost-device-vsock",
        ],
        fix: "load the kernel module vhost_vsock, install vhost-device-vsock or set " +
          "vhost_device_vsock_path in /etc/qemubox/config.json",
      })
      : null,
    setprivPath: find(ofUtilLinux("setpriv")),
    prlimitPath: find(ofUtilLinux("prlimit")),
  };
}

function ofUtilLinux(name: string): Wanted {
  return {
    what: `${name} binary`,
    asked: null,
    places: [`/usr/bin/${name}`, `/bin/${name}`],
    fix: "install util-linux",
  };
}

function firmwarePlaces(shareDir: string, qemuPath: string): string[] {
  return [
    `${shareDir}/firmware/qboot.rom`,
    // With a QEMU that is installed under another prefix.
    `${qemuPath.replace(/\/bin\/[^/]*$/, "")}/share/qemu/qboot.rom`,
    "/usr/share/qemu/qboot.rom",
    "/usr/share/seabios/qboot.rom",
  ];
}

function locate({ what, asked, places, fix }: Wanted, exists: (path: string) => boolean): string {
  const candidates = asked === null ? places : [asked];
  const found = candidates.find(exists);
  if (found !== undefined) return found;
  const [first, ...others] = [...new Set(candidates)];
  const elsewhere = others.length === 0 ? "" : ` (nor at ${others.join(", ")})`;
  throw new VmError("not-found", `${what} not found at ${first}${elsewhere}: ${fix}`);
}

/** A setting that repeats the default counts as not set. */
function unlessDefault(asked: string | null, byDefault: string): string | null {
  return asked === byDefault ? null : asked;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
