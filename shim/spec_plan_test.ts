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
      spec.hooks = { createRuntime: [{ path: "/usr/bin/hook" }] };
      spec.process!.apparmorProfile = "cri-containerd.apparmor.d";
      spec.linux!.namespaces!.push({ type: "ipc", path: "/proc/42/ns/ipc" });
    }),
    "c1",
    none,
  );
  assert.equal(spec.hooks, undefined);
  assert.equal(spec.process!.apparmorProfile, undefined);
  assert.equal(dropped.length, 3);
  assert.match(dropped[0]!, /createRuntime/);
  assert.match(dropped[1]!, /apparmorProfile/);
  assert.match(dropped[2]!, /\/proc\/42\/ns\/ipc/);
});

Deno.test("a bind-mounted file travels with the bundle", () => {
  const { spec, files } = planSpec(
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
  assert.deepEqual(files, [{ hostPath: "/run/x/resolv.conf", name: "file0-resolv.conf" }]);
  assert.equal(spec.mounts!.at(-1)!.source, "file0-resolv.conf");
});

Deno.test("what cannot be honoured is refused by name", () => {
  const bind = host((spec) =>
    spec.mounts!.push({ destination: "/data", type: "bind", source: "/srv/data" })
  );
  assert.throws(() => planSpec(bind, "c", () => "directory"), /\/srv\/data at \/data.*directory/);
  assert.throws(() => planSpec(bind, "c", none), /does not exist/);
  const nothing = host((spec) => spec.process!.args = []);
  assert.throws(() => planSpec(nothing, "c", none), UnsupportedSpecError);
  assert.throws(() => planSpec(nothing, "c", none), /process\.args/);
});
