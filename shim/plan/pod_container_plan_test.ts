import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { assertRefused } from "../testing/refused.ts";
import { temporaryFolder } from "../testing/test_support.ts";
import type { CreateRequest } from "./create_request.ts";
import type { OciSpec } from "./oci.ts";
import { planPodContainer } from "./pod_container_plan.ts";

const POD = {
  ...{ hostPid: 4711, guestPid: 77, hostname: "pod" },
  size: { memoryMib: 768, memoryMibMax: 768, vcpus: 1, vcpusMax: 1 },
  writable: { kind: "disk", mib: 1024, mkfsPath: null },
} as const;
const SPEC: OciSpec = {
  process: { args: ["true"], terminal: false },
  root: { path: "rootfs" },
  linux: { namespaces: [{ type: "network", path: "/proc/4711/ns/net" }] },
};

function plan(
  bundle: string,
  rootfs: CreateRequest["rootfs"] = [],
  change: Partial<CreateRequest> = {},
  spec: OciSpec = SPEC,
) {
  const request = {
    ...{ id: "c", bundle, rootfs, checkpoint: "", terminal: false },
    ...{ stdin: "", stdout: "", stderr: "" },
    ...change,
  };
  return planPodContainer(request, spec, POD, "c3", { vsock: "deny" });
}

Deno.test("a pod container has the pod's name and disk, and a directory of its own", () => {
  using bundle = temporaryFolder();
  Deno.mkdirSync(`${bundle.path}/rootfs`);
  const { container, warnings } = plan(bundle.path);
  assert.deepEqual([container.hostname, container.writable, warnings], ["pod", POD.writable, []]);
  const namespaces = { hostPid: 4711, guestPid: 77 };
  assert.deepEqual(container.pod, { directory: "c3", namespaces });
  assert.equal(container.rootfs.kind, "mounted");
});

Deno.test("a pod container gets a warning for hooks, and for a limit above its VM's memory", () => {
  using bundle = temporaryFolder();
  Deno.mkdirSync(`${bundle.path}/rootfs`);
  const warnings = (spec: OciSpec) => plan(bundle.path, [], {}, spec).warnings;
  const limit = (mib: number): OciSpec => ({
    ...SPEC,
    linux: { ...SPEC.linux, resources: { memory: { limit: mib * MIB } } },
  });
  assert.deepEqual(warnings(limit(512)), []);
  assert.deepEqual(warnings(limit(513)), [
    "linux.resources.memory.limit: the pod's VM has 768 MiB and is full before the container " +
    "reaches its 513 MiB",
  ]);
  const hooks: OciSpec = { ...SPEC, hooks: { createRuntime: [{ path: "/x" }] } };
  assert.deepEqual(warnings(hooks), [
    "hooks of config.json are not run for a container that joins a pod",
  ]);
});

Deno.test("EROFS layers of a pod container are files of the share, its own image is not used", () => {
  using bundle = temporaryFolder();
  const image = (name: string) => {
    Deno.writeFileSync(`${bundle.path}/${name}`, new Uint8Array(4096));
    return `${bundle.path}/${name}`;
  };
  const layer = { type: "erofs", source: image("layer.erofs"), options: ["ro", "loop"] };
  const own = { type: "ext4", source: image("rwlayer.img"), options: ["rw", "loop"] };
  const overlay = {
    type: "format/mkdir/overlay",
    source: "overlay",
    options: [
      ...["X-containerd.mkdir.path={{ mount 1 }}/upper:0755"],
      ...["X-containerd.mkdir.path={{ mount 1 }}/work:0755"],
      ...["workdir={{ mount 1 }}/work", "upperdir={{ mount 1 }}/upper"],
      ...["lowerdir={{ overlay 0 0 }}"],
    ],
  };
  const { container, warnings } = plan(bundle.path, [layer, own, overlay]);
  assert.deepEqual([container.rootfs.kind, container.writable], ["files", POD.writable]);
  assert.deepEqual(warnings, [
    `the snapshot's writable image ${own.source} is not used: the VM of a pod takes no further ` +
    "disk, and the container writes to the pod's",
  ]);
});

Deno.test("a container that needs another disk, or a checkpoint, cannot join a pod", () => {
  using bundle = temporaryFolder();
  assertRefused(
    () => plan(bundle.path, [], { checkpoint: "/c" }),
    "unsupported",
    /^checkpoint \/c cannot be restored into the VM of a pod: its VM runs already$/,
  );
  assertRefused(
    () => plan(bundle.path, [], { terminal: true }),
    "invalid",
    /^process of config\.json: terminal is false in its specification and true in the request/,
  );
  const image = `${bundle.path}/rwlayer.img`;
  Deno.writeFileSync(image, new Uint8Array(4096));
  const bind = {
    type: "format/mkdir/bind",
    source: "{{ mount 0 }}/upper",
    options: ["X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "rw", "rbind"],
  };
  const message = assertRefused(
    () => plan(bundle.path, [{ type: "ext4", source: image, options: ["rw", "loop"] }, bind]),
    "host",
    /^root file system is all in the snapshot's/,
  );
  assert.equal(
    message,
    `root file system is all in the snapshot's writable image ${image}, and the VM of a pod takes ` +
      "no further disk",
  );
});
