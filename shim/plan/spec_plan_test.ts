import assert from "node:assert/strict";
import { assertRefused } from "../testing/refused.ts";
import type { OciSpec } from "./oci.ts";
import { planSpec } from "./spec_plan.ts";

function host(change: (spec: OciSpec) => void = () => {}): OciSpec {
  const spec: OciSpec = {
    ociVersion: "1.2.0",
    process: { args: ["/bin/sh"], cwd: "/" },
    root: { path: "/some/host/rootfs", readonly: true },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    linux: {
      cgroupsPath: "system.slice:cri:abc",
      namespaces: [{ type: "pid" }, { type: "network", path: "/run/netns/x" }, { type: "mount" }],
      resources: { memory: { limit: 1 << 28 } },
    },
  };
  change(spec);
  return spec;
}
const none = () => "missing" as const;

Deno.test("names of host objects are dropped from the specification, limits stay", () => {
  const { spec, dropped } = planSpec(host(), "c1", none);
  assert.deepEqual(spec.root, { path: "rootfs", readonly: true });
  assert.equal(spec.linux!.cgroupsPath, "/qemubox/c1");
  assert.deepEqual(spec.linux!.namespaces, [{ type: "pid" }, { type: "mount" }]);
  assert.deepEqual(spec.linux!.resources, { memory: { limit: 1 << 28 } });
  assert.deepEqual(dropped, []);
});

Deno.test("planSpec does not change its input", () => {
  const input = host();
  planSpec(input, "c1", none);
  assert.deepEqual(input, host());
});

Deno.test("each dropped hook, label and namespace path gives a line", () => {
  const { spec, dropped } = planSpec(
    host((spec) => {
      const hooks = [{ path: "/usr/bin/hook" }];
      spec.hooks = { createRuntime: hooks, poststop: hooks, startContainer: hooks };
      spec.process!.apparmorProfile = "cri-containerd.apparmor.d";
      spec.linux!.namespaces!.push({ type: "ipc", path: "/proc/42/ns/ipc" });
    }),
    "c1",
    none,
  );
  assert.equal(spec.hooks, undefined);
  assert.equal(spec.process!.apparmorProfile, undefined);
  assert.equal(dropped.length, 3);
  assert.match(dropped[0]!, /^hooks startContainer cannot run inside the VM$/);
  assert.match(dropped[1]!, /apparmorProfile/);
  assert.match(dropped[2]!, /\/proc\/42\/ns\/ipc/);
});

Deno.test("a cpuset numbers the host's CPUs: it is dropped with a line", () => {
  const { spec, dropped } = planSpec(
    host((spec) => spec.linux!.resources!.cpu = { cpus: "2-3", mems: "0", quota: 5, shares: 2 }),
    "c1",
    none,
  );
  assert.deepEqual(spec.linux!.resources!.cpu, { quota: 5, shares: 2 });
  assert.deepEqual(dropped.map((line) => line.split(":")[0]), [
    "linux.resources.cpu.cpus",
    "linux.resources.cpu.mems",
  ]);
});

Deno.test("weights of the host's devices are dropped, other limits of I/O stay", () => {
  const throttleReadBpsDevice = [{ major: 8, minor: 0, rate: 1 }];
  const { spec, dropped } = planSpec(
    host((spec) => {
      const weightDevice = [{ major: 8, minor: 0, weight: 10 }];
      spec.linux!.resources!.blockIO = { weight: 100, weightDevice, throttleReadBpsDevice };
    }),
    "c1",
    none,
  );
  assert.deepEqual(spec.linux!.resources!.blockIO, { weight: 100, throttleReadBpsDevice });
  assert.equal(dropped.length, 1);
});

Deno.test("a bind mount's source becomes its place in the guest", () => {
  const { spec, volumes } = planSpec(
    host((spec) =>
      spec.mounts!.push({
        destination: "/etc/resolv.conf",
        source: "/run/x/resolv.conf",
        options: ["rbind", "ro"],
      })
    ),
    "c1",
    () => "file",
  );
  assert.deepEqual(volumes, [{
    hostPath: "/run/x/resolv.conf",
    kind: "file",
    name: "volume-0",
    readonly: true,
    recursive: true,
  }]);
  assert.equal(spec.mounts!.at(-1)!.source, "shares/qemubox/volume-0");
});

Deno.test("a mount without a source, huge pages and an empty command are refused", () => {
  const refused = (change: (spec: OciSpec) => void, pattern: RegExp) =>
    assertRefused(() => planSpec(host(change), "c", none), "unsupported", pattern);
  refused(
    (spec) => spec.mounts!.push({ destination: "/data", type: "bind", source: "/srv/data" }),
    /^mount of \/srv\/data at \/data: the source does not exist on the host$/,
  );
  const pages = (limit: number) => (spec: OciSpec) =>
    spec.linux!.resources!.hugepageLimits = [{ pageSize: "2MB", limit }];
  refused(pages(1 << 21), /^linux\.resources\.hugepageLimits asks for huge pages \(2MB\)/);
  const { spec } = planSpec(host(pages(0)), "c", none);
  assert.equal(spec.linux!.resources!.hugepageLimits, undefined);
  const noCommand = (spec: OciSpec) => spec.process!.args = [];
  refused(noCommand, /^process\.args of config\.json is empty: give a command to run$/);
  assert.throws(() => planSpec(host(noCommand), "c", none), {
    field: "process.args of config.json",
    fix: "give a command to run",
  });
});

Deno.test("the host's network is refused with the annotation that publishes ports", () => {
  const shared = host((spec) => spec.linux!.namespaces = [{ type: "pid" }]);
  assertRefused(
    () => planSpec(shared, "c", none),
    "unsupported",
    /^linux\.namespaces has no network namespace \(--net-host, hostNetwork\), but a container in a VM/,
  );
  assert.throws(() => planSpec(shared, "c", none), {
    field: "linux.namespaces",
    fix: "run it without, and publish its ports with the annotation io.qemubox.port-mappings",
  });
});

Deno.test("a device of the host is refused, or dropped for a privileged container", () => {
  const device = host((spec) => {
    spec.linux!.devices = [
      { path: "/dev/fuse", type: "c", major: 10, minor: 229 },
      { path: "/dev/nvidia0", type: "c", major: 195, minor: 0 },
    ];
  });
  const refused = (spec: OciSpec, pattern: RegExp) =>
    assertRefused(() => planSpec(spec, "c", none), "unsupported", pattern);
  refused(
    device,
    /^linux\.devices: "\/dev\/nvidia0" \(c 195:0\) is a device of the host, .*: run it without$/,
  );
  const disk = host((spec) => {
    spec.linux!.devices = [{ path: "/dev/full", type: "b", major: 1, minor: 7 }];
  });
  refused(disk, /^linux\.devices: "\/dev\/full" \(b 1:7\) is a device of the host/);
  const privileged = structuredClone(device);
  privileged.linux!.resources!.devices = [{ allow: false }, { allow: true }];
  const { spec, dropped } = planSpec(privileged, "c", none);
  assert.deepEqual(spec.linux!.devices!.map(({ path }) => path), ["/dev/fuse"]);
  assert.deepEqual(dropped.length, 1);
  assert.match(dropped[0]!, /^linux\.devices: "\/dev\/nvidia0" \(c 195:0\) are the host's/);
});

Deno.test("a pod container has the namespaces of the pod's first, and a directory of its own", () => {
  const spec = (): OciSpec => ({
    ...host(),
    mounts: [
      {
        destination: "/dev/shm",
        type: "bind",
        source: "/run/pods/1/shm",
        options: ["rbind", "ro"],
      },
      { destination: "/data", type: "bind", source: "/srv", options: ["rbind"] },
    ],
    linux: {
      namespaces: [
        { type: "network", path: "/run/netns/pod" },
        { type: "ipc", path: "/proc/4711/ns/ipc" },
        { type: "uts", path: "/proc/4711/ns/uts" },
        { type: "pid", path: "/proc/4712/ns/pid" },
        { type: "cgroup", path: "/proc/4711/ns/cgroup" },
        { type: "mount" },
      ],
    },
  });
  const kindOf = (path: string) => path === "/srv" ? "directory" as const : "missing" as const;
  const namespaces = { hostPid: 4711, guestPid: 77 };
  const further = planSpec(spec(), "c", kindOf, "", { directory: "c3", namespaces });
  assert.deepEqual(further.spec.linux!.namespaces, [
    { type: "ipc", path: "/proc/77/ns/ipc" },
    { type: "uts", path: "/proc/77/ns/uts" },
    { type: "pid" },
    { type: "cgroup" },
    { type: "mount" },
  ]);
  assert.equal(further.dropped.filter((line) => /, a new one is made$/.test(line)).length, 2);
  assert.deepEqual(further.spec.mounts!.map(({ source }) => source), [
    "/dev/shm",
    "shares/qemubox/c3/volume-0",
  ]);
  assert.deepEqual(further.volumes.map(({ name, hostPath }) => [name, hostPath]), [
    ["volume-0", "/srv"],
  ]);
  const first = planSpec(spec(), "p", kindOf, "", { directory: "", namespaces: null });
  assert.deepEqual(first.spec.linux!.namespaces!.filter(({ path }) => path), []);
  assert.equal(first.spec.mounts![1]!.source, "shares/qemubox/volume-0");
  // Alone, the host's shared memory is a volume like any other.
  assertRefused(
    () => planSpec(spec(), "c", kindOf),
    "unsupported",
    /^mount of \/run\/pods\/1\/shm at \/dev\/shm: /,
  );
});
