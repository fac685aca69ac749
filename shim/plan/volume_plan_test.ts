import assert from "node:assert/strict";
import fc from "fast-check";
import { assertRefused } from "../testing/refused.ts";
import type { OciMount } from "./oci.ts";
import { type HostPathKind, planVolumes, VOLUMES_MAX } from "./volume_plan.ts";

function plan(mounts: OciMount[], kind: HostPathKind = "directory") {
  return planVolumes(mounts, { bundle: "/bundle", share: "shares/tag", kindOf: () => kind });
}
const bind = (source: string, ...options: string[]): OciMount => ({
  destination: "/data",
  type: "bind",
  source,
  options,
});

Deno.test("volumes are numbered, and mounts use these names as sources", () => {
  const mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    bind("/srv/a", "rbind", "ro"),
    { destination: "/x", source: "b/c", options: ["bind", "ro", "rw"] },
  ];
  assert.deepEqual(plan(mounts), [
    { hostPath: "/srv/a", kind: "directory", name: "volume-0", readonly: true, recursive: true },
    {
      hostPath: "/bundle/b/c",
      kind: "directory",
      name: "volume-1",
      readonly: false,
      recursive: false,
    },
  ]);
  assert.deepEqual(mounts.map(({ source }) => source), [
    "proc",
    "shares/tag/volume-0",
    "shares/tag/volume-1",
  ]);
});

Deno.test("a mount that a VM cannot have is refused by source, destination and reason", () => {
  const refused = (mount: OciMount, kind: HostPathKind, message: RegExp) =>
    assertRefused(() => plan([mount], kind), "unsupported", message);
  refused(
    bind("/run/s.sock"),
    "socket",
    /^mount of \/run\/s\.sock at \/data: a Unix socket of the host cannot be reached from inside a VM$/,
  );
  refused(
    bind("/dev/sda"),
    "device",
    /\/dev\/sda at \/data: a device of the host cannot be used inside a VM$/,
  );
  refused(bind("/f"), "fifo", /: a FIFO of the host cannot be reached from inside a VM$/);
  refused(bind("/f"), "missing", /does not exist on the host/);
  refused(bind(""), "directory", /mount of nothing at \/data: .*does not exist/);
  refused(bind("/a\nb"), "missing", /^mount of "\/a\\nb" at/);
  for (const option of ["shared", "rshared", "slave", "rslave"]) {
    refused(bind("/a", option), "directory", new RegExp(`option ${option}\\): use rprivate$`));
  }
  refused({ destination: "/h", type: "hugetlbfs", source: "x" }, "missing", /\/h: hugetlbfs/);
  refused({ destination: "/n", type: "nfs", source: "s:/x" }, "missing", /"nfs" cannot be mounted/);
  assert.throws(() => plan([{ destination: "/n", type: "nfs", source: "s:/x" }]), {
    field: "mount of s:/x at /n:",
    fix: "mount it on the host and use its directory as a bind mount",
  });
  const many = Array.from({ length: VOLUMES_MAX + 1 }, () => bind("/a"));
  assertRefused(
    () => plan(many),
    "unsupported",
    /^mounts of config\.json contain more than 1024 bind mounts$/,
  );
});

Deno.test("no path of the host reaches the guest in a bind mount's source", () => {
  const path = fc.string({ minLength: 1, unit: "binary" }).map((text) => `/host-${text}`);
  fc.assert(fc.property(fc.array(path, { maxLength: 5 }), (sources) => {
    const mounts = sources.map((source) => bind(source, "rbind"));
    const volumes = plan(mounts);
    assert.deepEqual(volumes.map(({ hostPath }) => hostPath), sources);
    return mounts.every(({ source }) => /^shares\/tag\/volume-\d$/.test(source!));
  }));
});
