import assert from "node:assert/strict";
import fc from "fast-check";
import { create, guest } from "../proto/mod.ts";
import { type BundlePlan, planBundle } from "./bundle_plan.ts";
import { bundleRequest, layer } from "./testing/bundle_request.ts";

const GOLDEN = new URL("testdata/bundle_plans.json", import.meta.url);
const tmpfs = (sizeBytes: bigint): guest.Writable =>
  create(guest.WritableSchema, { kind: { case: "tmpfs", value: { sizeBytes } } });

const CASES: Record<string, guest.CreateBundleRequest> = {
  "one layer, writable": bundleRequest(),
  "layers on two shares, writable of a size": bundleRequest({
    rootfs: {
      lower: [layer("a", "top/fs"), layer("b"), layer("a", "base")],
      writable: tmpfs(64n << 20n),
    },
  }),
  "one layer, read-only": bundleRequest({ rootfs: { lower: [layer("rootfs", "fs")] }, files: [] }),
  "two layers, read-only": bundleRequest({ rootfs: { lower: [layer("a"), layer("b")] } }),
};

/** A plan as JSON: contents as text, modes as octal numbers. */
function readable(plan: BundlePlan): unknown {
  return JSON.parse(JSON.stringify(plan, (key, value) => {
    if (value instanceof Uint8Array) return new TextDecoder().decode(value);
    return key === "mode" ? `0${value.toString(8)}` : value;
  }));
}

Deno.test("bundles are planned as in testdata/bundle_plans.json", async () => {
  const plans = Object.fromEntries(
    Object.entries(CASES).map(([name, request]) => [name, readable(planBundle(request))]),
  );
  if (Deno.env.get("UPDATE_GOLDEN") === "1") {
    await Deno.writeTextFile(GOLDEN, JSON.stringify(plans, null, 2) + "\n");
  }
  assert.deepEqual(plans, JSON.parse(await Deno.readTextFile(GOLDEN)));
});

Deno.test("what is not in order is refused, by name", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const file = (name: string) => ({ name, content: bytes(""), mode: 0o644 });
  const lower = (...layers: guest.Layer[]) => ({
    rootfs: { lower: layers, writable: tmpfs(0n) },
  });
  const refused: [RegExp, Parameters<typeof bundleRequest>[0]][] = [
    [/invalid container id/, { id: "../x" }],
    [/config.json: not an object/, { configJson: bytes("[]") }],
    [/config.json: not an object/, { configJson: bytes("null") }],
    [/config.json: /, { configJson: bytes("{") }],
    [/config.json: /, { configJson: Uint8Array.of(0xff) }],
    [/root.path is "undefined"/, { configJson: bytes("{}") }],
    [/root.path is "undefined"/, { configJson: bytes('{"root":null}') }],
    [/root.path is "\/etc"/, { configJson: bytes('{"root":{"path":"/etc"}}') }],
    [/no layer/, lower()],
    [/501 layers/, lower(...Array.from({ length: 501 }, () => layer("a")))],
    [/bytes of mount options/, lower(...Array.from({ length: 300 }, (_, i) => layer(`t${i}`)))],
    [/no source/, lower(create(guest.LayerSchema, {}))],
    [/invalid virtio-fs tag/, lower(layer(""))],
    [/invalid virtio-fs tag/, lower(layer("a,b"))],
    [/invalid subdirectory/, lower(layer("a", "../b"))],
    [/invalid subdirectory/, lower(layer("a", "b/../../c"))],
    [/invalid subdirectory/, lower(layer("a", "/b"))],
    [/invalid subdirectory/, lower(layer("a", "b:c"))],
    [/of no kind/, { rootfs: { lower: [layer("a")], writable: {} } }],
    [/invalid file name/, { files: [file("../x")] }],
    [/invalid file name/, { files: [file(".")] }],
    [/is taken/, { files: [file("config.json")] }],
    [/is taken/, { files: [file("a"), file("a")] }],
    [/65 files/, { files: Array.from({ length: 65 }, (_, i) => file(`f${i}`)) }],
  ];
  for (const [message, changes] of refused) {
    assert.throws(() => planBundle(bundleRequest(changes)), { name: "RpcError", message });
  }
});

Deno.test("no request reaches out of its bundle, nor into an option of overlayfs", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[-a-z./:,\\]*$/));
  fc.assert(fc.property(text, text, text, text, (id, tag, subdirectory, name) => {
    let plan: BundlePlan;
    try {
      plan = planBundle(bundleRequest({
        id,
        rootfs: { lower: [layer(tag, subdirectory)], writable: tmpfs(0n) },
        files: [{ name, content: new Uint8Array(), mode: 0 }],
      }));
    } catch (error) {
      return (error as Error).name === "RpcError";
    }
    const inside = `/run/qemubox/bundles/${plan.id}`;
    return plan.steps.every((step) => {
      const path = step.do === "mount" ? step.target : step.path;
      return (path === inside || path.startsWith(`${inside}/`)) && !path.includes("/..");
    }) && plan.steps.every((step) =>
      step.do !== "mount" || step.fstype !== "overlay" ||
      step.data?.split(",").length === 3 && !step.data.includes(":")
    );
  }));
});
