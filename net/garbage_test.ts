import assert from "node:assert/strict";
import { poll } from "../base/mod.ts";
import { attach, checkAttachments, detachAll, note } from "./attachments.ts";
import type { Attachment, ChainHost } from "./chain.ts";
import { parseConf } from "./conf.ts";
import { collectGarbageOnce } from "./garbage.ts";
import { gcFile } from "./plugin_lock.ts";
import { AttachmentStore } from "./store.ts";
import { FakePlugins } from "./testing/fake_plugins.ts";

const RESULT = { cniVersion: "1.1.0", interfaces: [{ name: "eth0" }] };
const SPEAKS_GC = `case $CNI_COMMAND in
  VERSION) echo '{"supportedVersions":["1.1.0"]}' ;;
  ADD) echo '${JSON.stringify(RESULT)}' ;;
esac`;
const owner = (id: string) => ({ namespace: "default", id });

function attachmentOf(id: string, changes: Record<string, unknown> = {}): Attachment {
  const conf = { cniVersion: "1.1.0", name: "net", plugins: [{ type: "new" }], ...changes };
  return {
    conf: parseConf(JSON.stringify(conf), "/etc/cni/net.d/net.conflist"),
    containerId: `default--${id}`,
    netns: "/netns",
    ifname: "eth0",
    capabilityArgs: {},
  };
}

async function attached(id: string, attachment: Attachment, store: string, host: ChainHost) {
  await note(owner(id), attachment, store, host);
  await attach(owner(id), attachment, store, host);
}

/** A host with a plugin that supports GC. */
function hostOf(plugins: FakePlugins) {
  plugins.add("new", SPEAKS_GC);
  const lines: string[] = [];
  const host = {
    path: [plugins.path],
    lockFile: `${plugins.path}/run/lock`,
    libcniCache: `${plugins.path}/results`,
    log: (line: string) => lines.push(line),
  };
  return { host, lines, store: `${plugins.path}/network.db` };
}

const collections = (plugins: FakePlugins) =>
  plugins.calls.filter((call) => call.trim() === "new GC").length;

async function collectionHasBegun(plugins: FakePlugins): Promise<void> {
  const hasBegun = () => collections(plugins) > 0 ? true : null;
  assert(await poll(hasBegun, { everyMs: 2, timeoutMs: 10_000 }), "no GC within 10 s");
}

Deno.test("GC runs once per boot, with the attachments in the store as the valid ones", async () => {
  using plugins = new FakePlugins();
  const { host, store } = hostOf(plugins);
  assert.deepEqual(
    await collectGarbageOnce(owner("a"), store, host),
    [],
    "no database is created if there is nothing to record",
  );
  await attached("a", attachmentOf("a"), store, host);
  await attached("b", attachmentOf("b"), store, host);
  await attached("c", attachmentOf("c", { name: "elsewhere" }), store, host);
  {
    // ADD has not finished.
    using opened = AttachmentStore.open(store);
    opened.intend(owner("d"), attachmentOf("d"));
  }
  assert.deepEqual(await collectGarbageOnce(owner("a"), store, host), []);
  assert.deepEqual(await collectGarbageOnce(owner("b"), store, host), []);
  assert.equal(collections(plugins), 1);
  assert.deepEqual(
    plugins.stdin("new", "GC")["cni.dev/valid-attachments"],
    ["a", "b", "d"].map((id) => ({ containerID: `default--${id}`, ifname: "eth0" })),
  );
  Deno.removeSync(gcFile(host));
  await collectGarbageOnce(owner("b"), store, host);
  assert.equal(collections(plugins), 2, "GC runs again after a boot");
});

Deno.test("GC skips a network that another runtime uses, or whose configuration disables it", async () => {
  using plugins = new FakePlugins();
  const { host, lines, store } = hostOf(plugins);
  Deno.mkdirSync(host.libcniCache);
  const cached = (name: string, content: unknown) =>
    Deno.writeTextFileSync(`${host.libcniCache}/${name}`, JSON.stringify(content));
  cached("net-c1-eth0", { kind: "cniCacheV1", networkName: "net" });
  // The network of this one begins with the name of the other.
  cached("net-2-c1-eth0", { kind: "cniCacheV1", networkName: "net-2" });
  await attached("a", attachmentOf("a"), store, host);
  await attached("off", attachmentOf("off", { name: "off", disableGC: true }), store, host);
  await attached(
    "old",
    attachmentOf("old", { name: "old", cniVersion: "1.0.0" }),
    store,
    host,
  );
  for (const id of ["a", "off", "old"]) {
    assert.deepEqual(await collectGarbageOnce(owner(id), store, host), []);
  }
  assert.equal(collections(plugins), 0);
  assert.deepEqual(lines, [
    `skipping GC of network net: another runtime uses it, see ${host.libcniCache}/net-c1-eth0`,
  ]);
  Deno.removeSync(`${host.libcniCache}/net-c1-eth0`);
  Deno.removeSync(gcFile(host));
  await collectGarbageOnce(owner("a"), store, host);
  assert.equal(collections(plugins), 1);
});

Deno.test("note waits for GC, and a failure of GC is reported once", async () => {
  using plugins = new FakePlugins();
  const { host, store } = hostOf(plugins);
  await attached("a", attachmentOf("a"), store, host);
  plugins.add("new", `test $CNI_COMMAND != GC || { sleep 0.3; exit 7; }\n${SPEAKS_GC}`);
  const collected = collectGarbageOnce(owner("a"), store, host);
  await collectionHasBegun(plugins);
  const noted = note(owner("b"), attachmentOf("b"), store, host).then(() => "noted");
  const [failure] = await Promise.race([collected, noted.then(() => [])]);
  assert.match(String(failure), /new of network net exited with code 7 during GC/);
  assert.equal(await noted, "noted");
  assert.deepEqual(await collectGarbageOnce(owner("b"), store, host), []);
});

Deno.test("an aborted GC is retried", async () => {
  using plugins = new FakePlugins();
  const { host, store } = hostOf(plugins);
  await attached("a", attachmentOf("a"), store, host);
  plugins.add("new", `test $CNI_COMMAND != GC || sleep 1000\n${SPEAKS_GC}`);
  const ending = new AbortController();
  const collected = collectGarbageOnce(owner("a"), store, { ...host, signal: ending.signal });
  await collectionHasBegun(plugins);
  ending.abort(new Error("the shim ends"));
  assert.match(String(await collected), /the shim ends/);
  plugins.add("new", SPEAKS_GC);
  assert.deepEqual(await collectGarbageOnce(owner("a"), store, host), []);
  assert.equal(collections(plugins), 2);
});

Deno.test("checkAttachments checks each attachment and returns the plugin's error", async () => {
  using plugins = new FakePlugins();
  const { host, store } = hostOf(plugins);
  plugins.add("bad", `test $CNI_COMMAND != CHECK || exit 3\n${SPEAKS_GC}`);
  const on = async (ifname: string, changes: Record<string, unknown>) =>
    await attached("a", { ...attachmentOf("a", changes), ifname }, store, host);
  await on("eth0", {});
  await on("eth1", { name: "changed", plugins: [{ type: "bad" }] });
  await on("eth2", { name: "off", disableCheck: true });
  const checked = await checkAttachments(owner("a"), store, host);
  assert.deepEqual(checked.map(({ network, ifname, state }) => [ifname, network, state]), [
    ["eth0", "net", "as added"],
    ["eth1", "changed", "changed"],
    ["eth2", "off", "unchecked"],
  ]);
  assert.match(
    checked[1]!.reason,
    /^CNI plugin bad of network changed exited with code 3 during CHECK/,
  );
  assert.deepEqual(plugins.stdin("new", "CHECK")["prevResult"], RESULT);
  assert.deepEqual(await checkAttachments(owner("nobody"), store, host), []);
  assert.deepEqual(await detachAll(owner("a"), store, host), []);
});
