import assert from "node:assert/strict";
import type { OciSpec } from "./oci.ts";
import { planSpec, UnsupportedSpecError } from "./spec_plan.ts";

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

Deno.test("host names leave the specification, limits stay", () => {
  const { spec, dropped } = planSpec(host(), "c1", none);
  assert.deepEqual(spec.root, { path: "rootfs", readonly: true });
  assert.equal(spec.linux!.cgroupsPath, "/qemubox/c1");
  assert.deepEqual(spec.linux!.namespaces, [{ type: "pid" }, { type: "mount" }]);
  assert.deepEqual(spec.linux!.resources, { memory: { limit: 1 << 28 } });
  assert.deepEqual(dropped, []);
});

Deno.test("the input is not changed", () => {
  const input = host();
  planSpec(input, "c1", none);
  assert.deepEqual(input, host());
});

Deno.test("what is dropped is told", () => {
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
  assert.match(dropped[0]!, /^hooks startContainer: they cannot run inside the VM/);
  assert.match(dropped[1]!, /apparmorProfile/);
  assert.match(dropped[2]!, /\/proc\/42\/ns\/ipc/);
});

Deno.test("a cpuset names the host's processors: it is dropped and told", () => {
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

Deno.test("a bind mount's source becomes what the guest has of it", () => {
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

Deno.test("what cannot be honoured is refused by name", () => {
  const bind = host((spec) =>
    spec.mounts!.push({ destination: "/data", type: "bind", source: "/srv/data" })
  );
  assert.throws(() => planSpec(bind, "c", none), /\/srv\/data at \/data: .*does not exist/);
  const device = host((spec) => {
    spec.linux!.devices = [
      { path: "/dev/fuse", type: "c", major: 10, minor: 229 },
      { path: "/dev/nvidia0", type: "c", major: 195, minor: 0 },
    ];
  });
  assert.throws(() => planSpec(device, "c", none), /"\/dev\/nvidia0" \(c 195:0\)/);
  const disk = host((spec) => {
    spec.linux!.devices = [{ path: "/dev/full", type: "b", major: 1, minor: 7 }];
  });
  assert.throws(() => planSpec(disk, "c", none), /"\/dev\/full" \(b 1:7\)/);
  const privileged = structuredClone(device);
  privileged.linux!.resources!.devices = [{ allow: false }, { allow: true }];
  const { spec, dropped } = planSpec(privileged, "c", none);
  assert.deepEqual(spec.linux!.devices!.map(({ path }) => path), ["/dev/fuse"]);
  assert.deepEqual(dropped.length, 1);
  assert.match(dropped[0]!, /"\/dev\/nvidia0" \(c 195:0\)/);
  const pages = (limit: number) =>
    host((spec) => spec.linux!.resources!.hugepageLimits = [{ pageSize: "2MB", limit }]);
  assert.throws(() => planSpec(pages(1 << 21), "c", none), /huge pages \(2MB\)/);
  assert.equal(planSpec(pages(0), "c", none).spec.linux!.resources!.hugepageLimits, undefined);
  const nothing = host((spec) => spec.process!.args = []);
  assert.throws(() => planSpec(nothing, "c", none), UnsupportedSpecError);
  assert.throws(() => planSpec(nothing, "c", none), /process\.args/);
});

Deno.test("a container of a pod has the namespaces of its first, and a place of its own", () => {
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
  const member = planSpec(spec(), "c", kindOf, "", { folder: "c3", namespaces });
  assert.deepEqual(member.spec.linux!.namespaces, [
    { type: "ipc", path: "/proc/77/ns/ipc" },
    { type: "uts", path: "/proc/77/ns/uts" },
    { type: "pid" },
    { type: "cgroup" },
    { type: "mount" },
  ]);
  assert.equal(member.dropped.filter((line) => /a new one is made/.test(line)).length, 2);
  assert.deepEqual(member.spec.mounts!.map(({ source }) => source), [
    "/dev/shm",
    "shares/qemubox/c3/volume-0",
  ]);
  assert.deepEqual(member.volumes.map(({ name, hostPath }) => [name, hostPath]), [
    ["volume-0", "/srv"],
  ]);
  const first = planSpec(spec(), "p", kindOf, "", { folder: "", namespaces: null });
  assert.deepEqual(first.spec.linux!.namespaces!.filter(({ path }) => path), []);
  assert.equal(first.spec.mounts![1]!.source, "shares/qemubox/volume-0");
  // Alone, the host's shared memory is a volume like any other.
  assert.throws(() => planSpec(spec(), "c", kindOf), /\/run\/pods\/1\/shm at \/dev\/shm/);
});
