/**
 * Start and shutdown of shims: one per container, never two, and never one that is shutting down.
 */

import assert from "node:assert/strict";
import { bootstrap, create, fromBinary, taskV3, toBinary } from "../../proto/mod.ts";
import { makeBundle } from "./bundle.ts";
import { conformance, ours } from "./conformance.ts";
import { callShim, codeOf, Host, IS_OURS, NAMESPACE, Shim } from "./shim.ts";

const ROUNDS = 10;

function bundleOf(host: Host, id: string): string {
  const bundle = `${host.folder}/${id}`;
  Deno.mkdirSync(bundle);
  makeBundle(bundle, ["true"]);
  return bundle;
}

conformance("start never returns a shim that is shutting down", async (host) => {
  const id = "conformance-rounds";
  const bundle = bundleOf(host, id);
  const pids = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    await using shim = await Shim.start(host, id, bundle);
    assert.equal(await codeOf(shim.task.state({ id })), "NotFound");
    pids.add(socketInode(shim.address));
    // Waits for the answer only: the next start must not find this shim.
    await shim.requestShutdown();
  }
  if (IS_OURS) assert.equal(pids.size, ROUNDS);
});

ours("it returns the running one", "a second start of the same id is refused", async (host) => {
  const id = "conformance-twice";
  const bundle = bundleOf(host, id);
  await using shim = await Shim.start(host, id, bundle);
  const second = await host.call(id, "start", { cwd: bundle });
  assert.notEqual(second.code, 0);
  assert.match(second.stderr, /is already running/);
  assert.equal(await codeOf(shim.task.state({ id })), "NotFound");
  await shim.shutdown();
});

conformance("ten concurrent starts of one id give at most one shim", async (host) => {
  const id = "conformance-race";
  const bundle = bundleOf(host, id);
  const started = await Promise.all(
    Array.from({ length: 10 }, () => host.call(id, "start", { cwd: bundle })),
  );
  const addresses = started.filter(({ code }) => code === 0)
    .map(({ stdout }) => JSON.parse(new TextDecoder().decode(stdout)).address as string);
  assert.ok(addresses.length >= 1, started.map(({ stderr }) => stderr).join());
  if (IS_OURS) assert.equal(addresses.length, 1);
  assert.equal(new Set(addresses).size, 1);
  await using shim = await Shim.connect(id, bundle, addresses[0]!);
  await shim.shutdown();
});

ours("its containerd is older", "protobuf on stdin gets a protobuf answer", async (host) => {
  const id = "conformance-params";
  const bundle = bundleOf(host, id);
  const params = create(bootstrap.BootstrapParamsSchema, {
    instanceId: id,
    namespace: NAMESPACE,
    containerdGrpcAddress: host.address,
    containerdTtrpcAddress: host.events.path,
  });
  const stdin = toBinary(bootstrap.BootstrapParamsSchema, params);
  const { code, stdout, stderr } = await host.call(id, "start", { cwd: bundle, stdin });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const { address, protocol, version } = fromBinary(bootstrap.BootstrapResultSchema, stdout);
  assert.deepEqual({ protocol, version }, { protocol: "ttrpc", version: 3 });
  await using shim = await Shim.connect(id, bundle, address);
  await shim.shutdown();
});

conformance("delete of an unknown container reports status 137", async (host) => {
  const id = "conformance-never";
  const { code, stdout } = await host.call(id, "delete", { cwd: bundleOf(host, id) });
  assert.equal(code, 0);
  assert.equal(fromBinary(taskV3.DeleteResponseSchema, stdout).exitStatus, 137);
});

conformance("a command line without a verb is refused", async () => {
  assert.notEqual((await callShim(["-namespace", NAMESPACE, "-id", "x"])).code, 0);
});

/** Returns the inode of a shim's socket, which tells shims apart: each binds its own. */
function socketInode(address: string): number {
  return Deno.statSync(address.replace(/^unix:\/\//, "")).ino!;
}
