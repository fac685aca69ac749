/** The effect of each setting, and the consistency of the table. */

import assert from "node:assert/strict";
import { system } from "../../ffi/mod.ts";
import {
  DEFAULT_NETWORK,
  DEFAULT_PLUGIN_PATH,
  NETWORK_ANNOTATIONS as OF_NET,
} from "../../net/mod.ts";
import { sizeVm, VCPUS_MAX } from "../../qemu/mod.ts";
import { type Config, propertyOf, resolveConfig } from "./config.ts";
import { type CreatePlan, planCreate } from "../plan/create_plan.ts";
import { openLogFile } from "../base/log.ts";
import { sandboxPaths } from "../base/names.ts";
import type { OciSpec } from "../plan/oci.ts";
import {
  annotationOf,
  NETWORK_ANNOTATIONS,
  type Setting,
  type SettingKey,
  SETTINGS,
  variableOf,
} from "./settings.ts";
import type { SnapshotMount } from "../plan/rootfs/snapshot_mount.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import { networkFacts } from "../lease/network_facts.ts";
import { templatePath } from "../plan/disk_template.ts";

/** A host with all files of a VM, and a bundle. */
class Host implements Disposable {
  readonly #directory = temporaryFolder();
  readonly path = this.#directory.path;

  constructor() {
    for (const name of ["kernel-x86_64", "root", "initrd"]) {
      this.file(`share/kernel/qemubox-${name}`);
    }
    for (const name of ["qemu-system-x86_64", "virtiofsd", "vhost-device-vsock"]) {
      this.file(`share/bin/${name}`);
    }
    this.file("share/firmware/qboot.rom");
    this.file("bundle/rootfs/bin/sh");
    this.file("snapshot/layer.erofs", " ".repeat(512));
  }

  /** Makes a file and returns its path. */
  file(name: string, text = ""): string {
    const path = `${this.path}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, text);
    return path;
  }

  /**
   * Resolves settings that are in the file or, if they are for containers alone, in annotations.
   */
  config(settings: Partial<Record<SettingKey, unknown>>): Config {
    const here = { share_dir: `${this.path}/share`, state_dir: `${this.path}/state` };
    const ofContainer = (key: string) => isOfContainer(key as SettingKey);
    const entries = Object.entries({ ...here, accelerator: "tcg", ...settings });
    return resolveConfig({
      file: JSON.stringify(Object.fromEntries(entries.filter(([key]) => !ofContainer(key)))),
      environment: {},
      annotations: Object.fromEntries(
        entries.filter(([key]) => ofContainer(key))
          .map(([key, value]) => [annotationOf(key as SettingKey)!, String(value)]),
      ),
    });
  }

  /** Plans a container. */
  plan(
    settings: Partial<Record<SettingKey, unknown>>,
    spec: OciSpec = {},
    rootfs: readonly SnapshotMount[] = [this.layer()],
  ): CreatePlan & CreatePlan["container"] & CreatePlan["vm"] & CreatePlan["growth"] {
    const request = {
      ...{ id: "c1", bundle: `${this.path}/bundle`, stdin: "", stdout: "", stderr: "" },
      ...{ terminal: false, checkpoint: "" },
      rootfs,
    };
    const namespaces = [{ type: "network" }];
    const whole = { process: { args: ["sh"] }, linux: { namespaces }, ...spec };
    const plan = planCreate(request, whole, this.config(settings));
    return { ...plan, ...plan.container, ...plan.vm, ...plan.growth };
  }

  layer(): SnapshotMount {
    return { type: "erofs", source: `${this.path}/snapshot/layer.erofs`, options: ["ro"] };
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

function isOfContainer(key: SettingKey): boolean {
  const { for: audience }: Setting = SETTINGS[key];
  return audience === "container";
}

/** Checks that a setting replaces the path of one of the VM's files. */
function isFound(key: SettingKey, property: keyof CreatePlan["vm"]["files"]): (host: Host) => void {
  return (host) => {
    assert(host.plan({}).files[property]?.startsWith(`${host.path}/share/`), property);
    const other = host.file("other/file");
    assert.equal(host.plan({ [key]: other }).files[property], other);
    assert.throws(() => host.plan({ [key]: "/not/there" }), /\/not\/there/);
  };
}

const NAME = { namespace: "default", id: "c1" };

/** Specification of a container with a memory limit. */
function limitedTo(mib: number): OciSpec {
  const resources = { memory: { limit: mib << 20 } };
  return { linux: { resources, namespaces: [{ type: "network" }] } };
}

/** Effect of each setting, or the test of the effect, which names the setting. */
const EFFECTS: Readonly<Record<SettingKey, ((host: Host) => void) | string>> = {
  share_dir: (host) => {
    const { kernelPath } = host.plan({}).files;
    assert.equal(kernelPath, `${host.path}/share/kernel/qemubox-kernel-x86_64`);
    const other = { share_dir: `${host.path}/none`, qemu_path: host.file("qemu") };
    assert.throws(() => host.plan(other), /\/none\/kernel\/qemubox-kernel/);
  },
  state_dir: (host) => {
    host.plan({ state_dir: `${host.path}/elsewhere` });
    assert(exists(`${host.path}/elsewhere`));
    const config = host.config({ state_dir: "/elsewhere" });
    const { storePath } = networkFacts(config, sandboxPaths(config, NAME), NAME);
    assert.equal(storePath, "/elsewhere/network.db");
  },
  log_dir: (host) => {
    const { logDir } = host.config({ log_dir: `${host.path}/logs` });
    system.close(openLogFile(logDir, "qemubox.log")!);
    assert(exists(`${host.path}/logs/qemubox.log`));
  },
  run_dir: (host) => {
    const { lease, runtime, netns } = sandboxPaths(host.config({ run_dir: "/elsewhere" }), NAME);
    for (const path of [lease, runtime, netns]) assert(path.startsWith("/elsewhere/"), path);
  },
  qemu_path: isFound("qemu_path", "qemuPath"),
  kernel_path: isFound("kernel_path", "kernelPath"),
  root_path: isFound("root_path", "rootPath"),
  initrd_path: isFound("initrd_path", "initrdPath"),
  firmware_path: isFound("firmware_path", "firmwarePath"),
  virtiofsd_path: isFound("virtiofsd_path", "virtiofsdPath"),
  vhost_device_vsock_path: (host) => {
    const { transport } = host.plan({});
    const other = host.file("other/file");
    const { vhostDeviceVsockPath } = host.plan({ vhost_device_vsock_path: other }).files;
    assert.equal(vhostDeviceVsockPath, transport === "kernel" ? null : other);
  },
  mkfs_path: (host) => {
    const found = (settings: object) => {
      const { writable } = host.plan({ writable: "disk", ...settings });
      return writable.kind === "disk" ? writable.mkfsPath : assert.fail();
    };
    const mkfs_path = host.file("other/file");
    assert.equal(found({ mkfs_path }), mkfs_path);
    assert.throws(() => found({ mkfs_path: "/not/there" }), /\/not\/there: install e2fsprogs/);
    host.file(templatePath({ stateDir: "state", mib: 10_240 }));
    assert.equal(found({ mkfs_path: "/not/there" }), null);
  },
  user_ids: (host) => {
    assert.deepEqual(host.config({ user_ids: "70-90" }).userIds, { first: 70, last: 90 });
    for (const wrong of ["90-70", "0-5", "5", "1-4294967295"]) {
      assert.throws(() => host.config({ user_ids: wrong }), /user_ids/);
    }
    assert.equal(host.plan({ user_ids: "70-90" }).userIds.first, 70);
  },
  accelerator: (host) => {
    assert.deepEqual(
      host.plan({ accelerator: "tcg" }).warnings.filter((line) => /KVM/.test(line)),
      [],
    );
    assert.equal(host.plan({ accelerator: "tcg" }).accelerator, "tcg");
    let kvm;
    try {
      kvm = host.plan({ accelerator: "kvm" }).accelerator;
    } catch (error) {
      assert.match((error as Error).message, /accelerator kvm was asked for/);
      kvm = "kvm";
    }
    assert.equal(kvm, "kvm");
  },
  boot_timeout_seconds: "tests/e2e/configuration_test.ts",
  drain_timeout_seconds: "tests/e2e/configuration_test.ts",
  shutdown_timeout_seconds: "shim/task/task_service_test.ts",
  kill_timeout_seconds: "tests/security/liveness_test.ts",
  guest_timeout_seconds: "tests/security/liveness_test.ts",
  cni_conf_dir: (host) => {
    const conf = { cniVersion: "1.0.0", name: "qemubox-net", plugins: [{ type: "ptp" }] };
    host.file("cni/a.conflist", JSON.stringify(conf));
    assert.equal(host.plan({ cni_conf_dir: `${host.path}/cni` }).network.kind, "cni");
    assert.equal(host.plan({ cni_conf_dir: `${host.path}/none` }).network.kind, "none");
  },
  cni_bin_dir: (host) => {
    const config = host.config({ cni_bin_dir: "/a:/b" });
    const { pluginPath } = networkFacts(config, sandboxPaths(config, NAME), NAME);
    assert.deepEqual(pluginPath, ["/a", "/b"]);
  },
  cni_network: (host) => {
    const conf = { cniVersion: "1.0.0", name: "mine", plugins: [{ type: "ptp" }] };
    host.file("cni/a.conflist", JSON.stringify(conf));
    const cni_conf_dir = `${host.path}/cni`;
    assert.equal(host.plan({ cni_conf_dir }).network.kind, "none");
    assert.equal(host.plan({ cni_conf_dir, cni_network: "mine" }).network.kind, "cni");
  },
  spoofing: (host) => {
    for (const spoofing of ["deny", "allow"]) {
      assert.equal(host.plan({ spoofing }).spoofing, spoofing);
    }
    assert.equal(host.plan({}).spoofing, "deny");
  },
  default_vcpus: (host) => {
    const { defaultVcpus } = host.config({ default_vcpus: 3 });
    const wishes = { ...host.config({}), defaultVcpus };
    assert.equal(sizeVm(null, { memoryMib: 4096, cpus: 4 }, wishes).vcpus, 3);
    assert.equal(host.plan({ default_vcpus: 64 }).size.vcpus, navigator.hardwareConcurrency);
  },
  default_memory_mib: (host) => {
    const [small, large] = [128, 256].map((default_memory_mib) =>
      host.plan({ default_memory_mib })
    );
    assert.equal(large!.size.memoryMib - small!.size.memoryMib, 128);
  },
  vcpus: (host) => {
    assert.equal(host.plan({ vcpus: 64 }).size.vcpus, navigator.hardwareConcurrency);
  },
  vcpus_max: (host) => {
    assert.equal(host.plan({}).size.vcpusMax, 1);
    assert.equal(host.plan({ vcpus_max: 64 }).size.vcpusMax, navigator.hardwareConcurrency);
  },
  vcpus_grow_percent: (host) => {
    const plan = host.plan({ vcpus_max: 64, vcpus_grow_percent: 70 });
    if (plan.size.vcpusMax > 1) assert.equal(plan.byLoad?.growPercent, 70);
  },
  vcpus_cooldown_seconds: "tests/e2e/processors_test.ts",
  memory_mib: (host) => {
    const limited = limitedTo(256);
    const plain = host.plan({}, limited);
    const annotated = host.plan({ memory_mib: 128 }, limited);
    assert.equal(plain.size.memoryMib - annotated.size.memoryMib, 128);
    const warns = (plan: CreatePlan) =>
      plan.warnings.some((line) => /memory-mib=128 is less/.test(line));
    assert.deepEqual([warns(plain), warns(annotated)], [false, true]);
  },
  memory_mib_max: (host) => {
    const plan = host.plan({ memory_mib_max: 640 });
    assert.equal(plan.size.memoryMibMax - plan.size.memoryMib, 128);
    assert.equal(plan.memoryByPressure?.mostMib, plan.size.memoryMibMax);
    assert.equal(host.plan({}).memoryByPressure, null);
    // A container with a limit gets more only by an update of the limit.
    const limited = host.plan({ memory_mib_max: 640 }, limitedTo(256));
    assert.equal(limited.memoryByPressure, null);
    assert.equal(limited.size.memoryMibMax, plan.size.memoryMibMax);
    const asked = host.plan({ memory_mib: 128, memory_mib_max: 640 }, limitedTo(256));
    assert.equal(asked.memoryByPressure?.mostMib, limited.size.memoryMib);
  },
  memory_grow_percent: (host) => {
    const plan = host.plan({ memory_mib_max: 1024, memory_grow_percent: 25 });
    assert.equal(plan.memoryByPressure?.growPercent, 25);
  },
  memory_cooldown_seconds: "tests/e2e/memory_test.ts",
  writable: (host) => {
    const mkfs_path = host.file("mkfs");
    assert.deepEqual(host.plan({ writable: "tmpfs" }).writable, { kind: "tmpfs", mib: null });
    const disk = { kind: "disk", mib: 10_240, mkfsPath: mkfs_path };
    for (const settings of [{}, { writable: "disk" }]) {
      assert.deepEqual(host.plan({ mkfs_path, ...settings }).writable, disk);
    }
  },
  writable_mib: (host) => {
    const mkfs_path = host.file("mkfs");
    for (const writable of ["disk", "tmpfs"]) {
      const layer = host.plan({ writable, writable_mib: 100, mkfs_path }).writable;
      assert.deepEqual([layer.kind, "mib" in layer && layer.mib], [writable, 100]);
    }
  },
  host_limits: "tests/lab/host_cgroup_test.ts",
  freed_memory: (host) => {
    for (const freed_memory of ["keep", "return"]) {
      assert.equal(host.plan({ freed_memory }).returnsMemory, freed_memory === "return");
    }
  },
  volume_privileges: (host) => {
    assert.equal(host.plan({}).grantsPrivileges, false);
    assert.equal(host.plan({ volume_privileges: "allow" }).grantsPrivileges, true);
  },
  vsock: (host) => {
    const filter = (vsock: object) => host.plan(vsock).container.spec.spec.linux?.seccomp;
    assert.equal(filter({ vsock: "allow" }), undefined);
    assert.match(JSON.stringify(filter({})), /"socketcall"/);
  },
  layers: (host) => {
    for (const layers of ["disk", "files"]) assert.equal(host.plan({ layers }).rootfs.kind, layers);
  },
};

Deno.test("a snapshot's own writable image takes precedence over the settings", () => {
  using host = new Host();
  const image = { type: "ext4", source: "/s/9/rwlayer.img", options: ["rw", "loop"] };
  const options = ["upperdir={{ mount 0 }}/upper", "lowerdir={{ mount 1 }}"];
  const overlay = { type: "format/mkdir/overlay", source: "overlay", options };
  for (const settings of [{ writable: "disk", mkfs_path: "/not/there" }, { writable: "tmpfs" }]) {
    const { writable, rootfs } = host.plan(settings, {}, [image, host.layer(), overlay]);
    assert.deepEqual(writable, { kind: "snapshot", path: image.source });
    assert.equal(rootfs.kind, "disk");
  }
});

Deno.test("more layers than a disk takes become files", () => {
  using host = new Host();
  const kind = (count: number) => {
    const lower = `lowerdir={{ overlay 0 ${count - 1} }}`;
    const overlay = { type: "format/mkdir/overlay", source: "overlay", options: [lower] };
    return host.plan({}, {}, [...Array(count).fill(host.layer()), overlay]).rootfs.kind;
  };
  assert.deepEqual([kind(255), kind(256)], ["disk", "files"]);
});

for (const [key, effect] of Object.entries(EFFECTS)) {
  Deno.test(`setting ${key} has an effect`, () => {
    if (typeof effect === "string") {
      const text = Deno.readTextFileSync(new URL(`../../${effect}`, import.meta.url));
      assert(text.includes(key), `${effect} does not mention ${key}`);
      return;
    }
    using host = new Host();
    effect(host);
  });
}

Deno.test("variable, annotation and property derive from the key", () => {
  assert.equal(variableOf("state_dir"), "QEMUBOX_STATE_DIR");
  assert.equal(annotationOf("state_dir"), null);
  assert.equal(variableOf("boot_timeout_seconds"), "QEMUBOX_BOOT_TIMEOUT_SECONDS");
  assert.equal(annotationOf("boot_timeout_seconds"), "io.qemubox.boot-timeout-seconds");
  assert.equal(propertyOf("boot_timeout_seconds"), "bootTimeoutMs");
  assert.equal(variableOf("memory_mib"), null);
  assert.equal(annotationOf("memory_mib"), "io.qemubox.memory-mib");
  assert.equal(propertyOf("memory_mib"), "memoryMib");
});

Deno.test("constants that net/ and qemu/ have, too, are the same", () => {
  assert.equal(SETTINGS.cni_bin_dir.default, DEFAULT_PLUGIN_PATH.join(":"));
  assert(SETTINGS.cni_network.defaultText!.includes(DEFAULT_NETWORK));
  assert.deepEqual(Object.keys(NETWORK_ANNOTATIONS).toSorted(), Object.values(OF_NET).toSorted());
  assert(SETTINGS.vcpus.schema.safeParse(VCPUS_MAX).success);
  assert(!SETTINGS.vcpus.schema.safeParse(VCPUS_MAX + 1).success);
});

Deno.test("each default is a valid value, or is described", () => {
  for (const [key, { schema, default: value, defaultText }] of Object.entries<Setting>(SETTINGS)) {
    if (value !== null) assert(schema.safeParse(value).success, key);
    else assert.notEqual(defaultText, undefined, `${key} has no text for its default`);
  }
});
