import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { resolveConfig } from "../config/config.ts";
import { assertRefused } from "../testing/refused.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import { planCreate } from "./create_plan.ts";
import type { CreateRequest } from "./create_request.ts";
import type { OciSpec } from "./oci.ts";

const request: CreateRequest = {
  id: "c1",
  bundle: "/bundle",
  rootfs: [],
  stdin: "",
  stdout: "",
  stderr: "",
  terminal: false,
  checkpoint: "",
};

function configAt(stateDir: string) {
  return resolveConfig({
    file: JSON.stringify({ state_dir: stateDir, share_dir: `${stateDir}/no-share` }),
    environment: {},
    annotations: {},
  });
}

/** Makes the files that a VM is made of, and a bundle. Returns a planner of its container. */
function planIn(directory: string) {
  const share = `${directory}/share`;
  const files = [
    ...["kernel/qemubox-kernel-x86_64", "kernel/qemubox-root", "kernel/qemubox-initrd"],
    ...["bin/qemu-system-x86_64", "bin/virtiofsd", "bin/vhost-device-vsock"],
    ...["firmware/qboot.rom", "mkfs.ext4"],
  ].map((name) => `${share}/${name}`);
  for (const file of files) {
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, "");
  }
  Deno.mkdirSync(`${directory}/bundle/rootfs`, { recursive: true });
  const settings = {
    ...{ share_dir: share, state_dir: `${directory}/state`, mkfs_path: `${share}/mkfs.ext4` },
    ...{ cni_conf_dir: `${directory}/cni`, accelerator: "tcg" },
  };
  return (spec: OciSpec, annotations: Readonly<Record<string, string>> = {}) => {
    const config = resolveConfig({ file: JSON.stringify(settings), environment: {}, annotations });
    const linux = { namespaces: [{ type: "network" }], ...spec.linux };
    const whole = { process: { args: ["true"] }, ...spec, linux };
    return planCreate({ ...request, bundle: `${directory}/bundle` }, whole, config);
  };
}

Deno.test("an invalid request is refused before the host is checked", () => {
  const config = configAt("/proc/no-such-directory");
  const plan = (change: Partial<CreateRequest>, terminal = false) =>
    planCreate({ ...request, ...change }, { process: { terminal } }, config);
  assertRefused(
    () => plan({ terminal: true }),
    "invalid",
    /^process of config\.json: terminal is false in its specification and true in the request/,
  );
  assertRefused(
    () => plan({ terminal: false }, true),
    "invalid",
    /^process of config\.json: terminal is true in its specification and false in the request/,
  );
  assertRefused(
    () => plan({ checkpoint: "/c" }),
    "invalid",
    /^checkpoint \/c is not a directory$/,
  );
});

Deno.test("a state directory that cannot be written is refused with the setting that moves it", () => {
  const config = configAt("/proc/no-such-directory");
  assertRefused(
    () => planCreate(request, {}, config),
    "host",
    /^state directory \/proc\/no-such-directory cannot be written .*QEMUBOX_STATE_DIR$/,
  );
  assert.throws(() => planCreate(request, {}, config), {
    field: "state directory /proc/no-such-directory",
    fix: "make it writable or set QEMUBOX_STATE_DIR",
  });
});

Deno.test("the check for a writable state directory leaves nothing in it", () => {
  using directory = temporaryFolder();
  const state = `${directory.path}/state`;
  // Without kernel and initrd the plan fails later on.
  assert.throws(() => planCreate(request, {}, configAt(state)));
  assert.ok(exists(state));
  assert.deepEqual([...Deno.readDirSync(state)], []);
});

Deno.test("a bundle without a root file system is refused", () => {
  using directory = temporaryFolder();
  const bundle = { ...request, bundle: directory.path };
  assertRefused(
    () => planCreate(bundle, {}, configAt(`${directory.path}/state`)),
    "invalid",
    /^root file system: rootfs is not a directory$/,
  );
});

Deno.test("a pod's VM is sized by the kubelet's sums, a container's by its own limits", () => {
  using directory = temporaryFolder();
  const plan = planIn(directory.path);
  const cri = (facts: Record<string, string>) =>
    Object.fromEntries(
      Object.entries({ "container-type": "sandbox", "sandbox-id": "p", ...facts })
        .map(([key, value]) => [`io.kubernetes.cri.${key}`, value]),
    );
  const limited = (mib: number): OciSpec => ({
    linux: { resources: { memory: { limit: mib * MIB } } },
  });
  const memoryMib = (spec: OciSpec) => plan(spec).vm.size.memoryMib;
  const sum = cri({ "sandbox-memory": String(256 * MIB) });
  assert.equal(memoryMib({ ...limited(64), annotations: sum }), memoryMib(limited(256)));
  assert.equal(memoryMib({ ...limited(64), annotations: cri({}) }), memoryMib(limited(64)));
  assert.notEqual(memoryMib(limited(256)), memoryMib(limited(64)));
  assert.deepEqual(plan({ annotations: sum }).container.pod, { directory: "", namespaces: null });
  assert.equal(plan({}).container.pod, null);
});

Deno.test("hooks are not run, with a warning, for a network that qemubox makes itself", () => {
  using directory = temporaryFolder();
  const plan = planIn(directory.path);
  const hooks = { poststop: [{ path: "/x" }] };
  const warning =
    "hooks of config.json are not run for a container whose network qemubox makes itself";
  const own = plan({ hooks });
  assert.deepEqual([own.network.kind, own.hooks], ["none", null]);
  assert.ok(own.warnings.includes(warning), own.warnings.join("\n"));
  const namespaces = [{ type: "network", path: "/run/netns/theirs" }];
  const theirs = plan({ hooks, linux: { namespaces } });
  assert.equal(theirs.network.kind, "existing");
  assert.deepEqual(theirs.hooks?.hooks, { create: [], delete: hooks.poststop });
  assert.ok(!theirs.warnings.includes(warning), theirs.warnings.join("\n"));
});

Deno.test("limits of I/O give a warning if the container has no disk of its own", () => {
  using directory = temporaryFolder();
  const plan = planIn(directory.path);
  const warnings = (writable: string, blockIO: Record<string, unknown>) =>
    plan({ linux: { resources: { blockIO } } }, { "io.qemubox.writable": writable }).warnings
      .filter((line) => line.startsWith("linux.resources.blockIO"));
  const throttleReadBpsDevice = [{ major: 8, minor: 0, rate: 1 }];
  assert.deepEqual(warnings("tmpfs", { throttleReadBpsDevice }), [
    "linux.resources.blockIO: the container has no disk of its own and nothing limits its I/O: " +
    "give it one (annotation io.qemubox.writable=disk)",
  ]);
  assert.deepEqual(warnings("disk", { throttleReadBpsDevice }), []);
  assert.deepEqual(warnings("tmpfs", { weight: 10, throttleReadBpsDevice: [] }), []);
});
