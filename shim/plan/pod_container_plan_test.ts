import assert from "node:assert/strict";
import { Code, RpcError } from "../../proto/mod.ts";
import { planMember } from "./member_plan.ts";
import type { OciSpec } from "./oci.ts";
import { temporaryFolder } from "../testing/test_support.ts";
import type { CreateRequest } from "./create_request.ts";

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

function member(
  folder: string,
  rootfs: CreateRequest["rootfs"] = [],
  change: Partial<CreateRequest> = {},
  spec: OciSpec = SPEC,
) {
  const request = {
    ...{ id: "c", bundle: folder, rootfs, checkpoint: "", terminal: false },
    ...{ stdin: "", stdout: "", stderr: "" },
    ...change,
  };
  return planMember(request, spec, POD, "c3");
}

function refusal(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert(error instanceof RpcError, String(error));
    assert.deepEqual(
      [Code[error.code], message.test(error.message)],
      [Code[code], true],
      error.message,
    );
    return true;
  };
}

Deno.test("a container comes into a pod with the pod's name and disk, in a place of its own", () => {
  using folder = temporaryFolder();
  Deno.mkdirSync(`${folder.path}/rootfs`);
  const plan = member(folder.path);
  assert.deepEqual([plan.hostname, plan.writable, plan.warnings], ["pod", POD.writable, []]);
  assert.deepEqual(plan.pod, { folder: "c3", namespaces: { hostPid: 4711, guestPid: 77 } });
  assert.equal(plan.rootfs.kind, "mounted");
  const limit = (mib: number): OciSpec => ({
    ...SPEC,
    linux: { ...SPEC.linux, resources: { memory: { limit: mib * 2 ** 20 } } },
  });
  assert.deepEqual(member(folder.path, [], {}, limit(512)).warnings, []);
  const hooks: OciSpec = { ...SPEC, hooks: { createRuntime: [{ path: "/x" }] } };
  assert.match(member(folder.path, [], {}, hooks).warnings.join(), /hooks .* are not run/);
  assert.match(member(folder.path, [], {}, limit(513)).warnings.join(), /the pod's VM has 768 MiB/);
});

Deno.test("EROFS layers come as files, and a snapshot's own image does not come", () => {
  using folder = temporaryFolder();
  const image = (name: string) => {
    Deno.writeFileSync(`${folder.path}/${name}`, new Uint8Array(4096));
    return `${folder.path}/${name}`;
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
  const plan = member(folder.path, [layer, own, overlay]);
  assert.deepEqual([plan.rootfs.kind, plan.writable], ["files", POD.writable]);
  assert.match(plan.warnings.join(), /rwlayer\.img is not used/);
});

Deno.test("what cannot come into a VM that runs is refused", () => {
  using folder = temporaryFolder();
  assert.throws(
    () => member(folder.path, [], { checkpoint: "/c" }),
    refusal(Code.Unimplemented, /its VM runs already/),
  );
  assert.throws(
    () => member(folder.path, [], { terminal: true }),
    refusal(Code.InvalidArgument, /terminal is false/),
  );
  const image = `${folder.path}/rwlayer.img`;
  Deno.writeFileSync(image, new Uint8Array(4096));
  const bind = {
    type: "format/mkdir/bind",
    source: "{{ mount 0 }}/upper",
    options: ["X-containerd.mkdir.path={{ mount 0 }}/upper:0755", "rw", "rbind"],
  };
  assert.throws(
    () => member(folder.path, [{ type: "ext4", source: image, options: ["rw", "loop"] }, bind]),
    refusal(Code.FailedPrecondition, /all of the root file system is in the snapshot's/),
  );
});
