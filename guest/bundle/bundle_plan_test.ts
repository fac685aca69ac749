import assert from "node:assert/strict";
import fc from "fast-check";
import { Code, create, guest } from "../../proto/mod.ts";
import { BUNDLES_DIRECTORY, planBundle } from "./bundle_plan.ts";
import type { BundlePlan } from "./bundle_step.ts";
import { bundleRequest, file, layer, part } from "../testing/bundle_request.ts";
import { refused } from "../testing/task_guest.ts";

const GOLDEN = new URL("testdata/bundle_plans.json", import.meta.url);
const tmpfs = (sizeBytes: bigint): guest.Writable =>
  create(guest.WritableSchema, { kind: { case: "tmpfs", value: { sizeBytes } } });
const disk = (serial: string, folder = ""): guest.Writable =>
  create(guest.WritableSchema, { kind: { case: "disk", value: { serial, folder } } });
const snapshot = (serial: string): guest.Writable =>
  create(guest.WritableSchema, { kind: { case: "snapshot", value: { serial } } });
const indexed = (): guest.Layer =>
  create(guest.LayerSchema, {
    ...part("layers", 0n, 4096n),
    devices: [part("layers", 4096n, 512n), part("layers", 4608n, 512n)].map(({ source }) =>
      create(guest.LayerDeviceSchema, { source } as guest.LayerDevice)
    ),
  });
/** Device files by serial number. */
const DISKS: Readonly<Record<string, string>> = { layers: "/dev/vdb", writable: "/dev/vdc" };
const NUMBERS = [{ major: 254, minor: 16 }, { major: 254, minor: 32 }];

const CASES: Record<string, guest.CreateBundleRequest> = {
  "one layer, writable": bundleRequest(),
  "layers on two shares, writable of a size": bundleRequest({
    rootfs: {
      lower: [layer("a", "top/fs"), layer("b"), layer("a", "base")],
      writable: tmpfs(64n << 20n),
    },
  }),
  "one layer, read-only": bundleRequest({ rootfs: { lower: [layer("rootfs", "fs")] }, files: [] }),
  "layers on a disk, a writable share": bundleRequest({
    shares: [{ tag: "qemubox", writable: true }],
    rootfs: {
      lower: [part("layers", 0n, 4096n), part("layers", 4096n, 8192n)],
      writable: tmpfs(0n),
    },
  }),
  "layers that are files": bundleRequest({
    shares: [{ tag: "qemubox", writable: false }],
    rootfs: {
      lower: [file("qemubox", "layer-0"), file("qemubox", "layer-1")],
      writable: tmpfs(0n),
    },
  }),
  "a disk as writable layer": bundleRequest({
    rootfs: { lower: [layer("rootfs", "fs")], writable: disk("writable") },
  }),
  "a directory of a disk as writable layer": bundleRequest({
    rootfs: { lower: [layer("rootfs", "fs")], writable: disk("writable", "c7") },
  }),
  "a snapshot's disk as writable layer": bundleRequest({
    rootfs: { lower: [layer("rootfs", "fs")], writable: snapshot("writable") },
  }),
  "a snapshot's disk without layers": bundleRequest({
    rootfs: { lower: [], writable: snapshot("writable") },
  }),
  "a layer with devices": bundleRequest({
    rootfs: { lower: [indexed(), part("layers", 5120n, 512n)], writable: tmpfs(0n) },
  }),
  "two layers, read-only": bundleRequest({ rootfs: { lower: [layer("a"), layer("b")] } }),
};

/** The plan in a guest with two disks. */
function plan(request: guest.CreateBundleRequest): BundlePlan {
  return planBundle(request, BUNDLES_DIRECTORY, (serial) => DISKS[serial] ?? null, () => NUMBERS);
}

/** A plan as JSON, with contents as text and modes as octal numbers. */
function readable(plan: BundlePlan): unknown {
  return JSON.parse(JSON.stringify(plan, (key, value) => {
    if (value instanceof Uint8Array) return new TextDecoder().decode(value);
    return key === "mode" ? `0${value.toString(8)}` : value;
  }));
}

Deno.test("planBundle matches testdata/bundle_plans.json", async () => {
  const plans = Object.fromEntries(
    Object.entries(CASES).map(([name, request]) => [name, readable(plan(request))]),
  );
  if (Deno.env.get("UPDATE_GOLDEN") === "1") {
    await Deno.writeTextFile(GOLDEN, JSON.stringify(plans, null, 2) + "\n");
  }
  assert.deepEqual(plans, JSON.parse(await Deno.readTextFile(GOLDEN)));
});

Deno.test("limits of the host's disks become limits of own disks, all else stays to the digit", () => {
  const rlimits = '"rlimits":[{"hard":18446744073709551615,"soft":1e3}]';
  const config = (blockIO: string) =>
    `{"root":{"path":"rootfs"},"process":{${rlimits}},"linux":{"resources":{"blockIO":${blockIO}}}}`;
  const written = (text: string) => {
    const { steps } = plan(bundleRequest({ configJson: new TextEncoder().encode(text) }));
    const file = steps.find((step) => step.do === "file" && step.path.endsWith("/config.json"));
    return new TextDecoder().decode((file as { content: Uint8Array }).content);
  };
  const given = '{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":9007199254740993}]}';
  const own = NUMBERS.map(({ major, minor }) =>
    `{"major":${major},"minor":${minor},"rate":9007199254740993}`
  );
  assert.equal(
    written(config(given)),
    config(`{"throttleReadBpsDevice":[${own}]}`).replace("1e3", "1000"),
  );
  const untouched = [config('{"weight":5}'), '{"root":{"path":"rootfs"},"x":"\\"throttle"}'];
  for (const text of untouched) assert.equal(written(text), text);
});

Deno.test("an invalid request is refused, and the error names what is wrong", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const named = (name: string) => ({ name, content: bytes(""), mode: 0o644 });
  const lower = (...layers: guest.Layer[]) => ({
    rootfs: { lower: layers, writable: tmpfs(0n) },
  });
  const refusals: [RegExp, Parameters<typeof bundleRequest>[0]][] = [
    [/invalid container id/, { id: "../x" }],
    [/config.json: not a JSON object/, { configJson: bytes("[]") }],
    [/config.json: not a JSON object/, { configJson: bytes("null") }],
    [/config.json: /, { configJson: bytes("{") }],
    [/config.json: /, { configJson: Uint8Array.of(0xff) }],
    [/root.path is "undefined"/, { configJson: bytes("{}") }],
    [/root.path is "undefined"/, { configJson: bytes('{"root":null}') }],
    [/root.path is "\/etc"/, { configJson: bytes('{"root":{"path":"/etc"}}') }],
    [/no layer/, lower()],
    [/501 layers exceed/, lower(...Array.from({ length: 501 }, () => layer("a")))],
    [/bytes of mount options/, lower(...Array.from({ length: 300 }, (_, i) => layer(`tag-${i}`)))],
    [/no source/, lower(create(guest.LayerSchema, {}))],
    [/invalid virtio-fs tag/, lower(layer(""))],
    [/invalid virtio-fs tag/, lower(layer("a,b"))],
    [/invalid subdirectory/, lower(layer("a", "../b"))],
    [/invalid subdirectory/, lower(layer("a", "b/../../c"))],
    [/invalid subdirectory/, lower(layer("a", "/b"))],
    [/invalid subdirectory/, lower(layer("a", "b:c"))],
    [/invalid virtio-fs tag/, lower(layer(".."))],
    [/invalid virtio-fs tag/, { shares: [{ tag: "../x", writable: true }] }],
    [/invalid subdirectory/, lower(file("a", "../b"))],
    [/no disk other/, lower(part("other", 0n, 512n))],
    [/invalid disk serial number/, lower(part("../x", 0n, 512n))],
    [/not a valid part of disk layers/, lower(part("layers", 0n, 0n))],
    [/not a valid part of disk layers/, lower(part("layers", 0n, 513n))],
    [/not a valid part of disk layers/, lower(part("layers", 1n, 512n))],
    [/not a valid part of disk layers/, lower(part("layers", 1n << 60n, 512n))],
    [
      /more than 255 layers/,
      lower(...Array.from({ length: 256 }, (_, i) => part("layers", BigInt(i) * 512n, 512n))),
    ],
    [/writable layer has no kind/, { rootfs: { lower: [layer("a")], writable: {} } }],
    [/no disk other/, { rootfs: { lower: [layer("a")], writable: disk("other") } }],
    [/invalid disk serial number/, { rootfs: { lower: [layer("a")], writable: disk("../vda") } }],
    [/invalid directory/, { rootfs: { lower: [layer("a")], writable: disk("writable", "../c1") } }],
    [/invalid file name/, { files: [named("../x")] }],
    [/invalid file name/, { files: [named(".")] }],
    [/is taken/, { files: [named("config.json")] }],
    [/is taken/, { files: [named("a"), named("a")] }],
    [/65 files exceed/, { files: Array.from({ length: 65 }, (_, i) => named(`f${i}`)) }],
  ];
  for (const [message, changes] of refusals) {
    assert.throws(() => plan(bundleRequest(changes)), { name: "RpcError", message });
  }
});

Deno.test("a missing disk is a failed precondition, not a container that is gone", () => {
  const missing = refused(Code.FailedPrecondition, /^no disk other$/);
  const layers = { lower: [part("other", 0n, 512n)], writable: tmpfs(0n) };
  assert.throws(() => plan(bundleRequest({ rootfs: layers })), missing);
  const writable = { lower: [layer("a")], writable: disk("other") };
  assert.throws(() => plan(bundleRequest({ rootfs: writable })), missing);
});

Deno.test("no request gets out of its bundle or into an option of overlayfs", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[-a-z./:,\\]*$/));
  fc.assert(fc.property(text, text, text, text, (id, tag, subdirectory, name) => {
    let made: BundlePlan;
    try {
      made = plan(bundleRequest({
        id,
        rootfs: { lower: [layer(tag, subdirectory)], writable: tmpfs(0n) },
        files: [{ name, content: new Uint8Array(), mode: 0 }],
      }));
    } catch (error) {
      return (error as Error).name === "RpcError";
    }
    const inside = `/run/qemubox/bundles/${made.id}`;
    return made.steps.every((step) => {
      if (step.do === "partition") return false;
      const path = step.do === "mount" ? step.target : step.path;
      return (path === inside || path.startsWith(`${inside}/`)) && !path.includes("/..");
    }) && made.steps.every((step) =>
      step.do !== "mount" || step.fstype !== "overlay" ||
      step.data?.split(",").length === 3 && !step.data.includes(":")
    );
  }));
});
