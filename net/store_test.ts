import { DatabaseSync } from "node:sqlite";
import assert from "node:assert/strict";
import { attach, attachedOwners, detachAll, note } from "./attachments.ts";
import { parseConf } from "./conf.ts";
import { NetworkError } from "./error.ts";
import { AttachmentStore } from "./store.ts";
import { FakePlugins } from "./testing/fake_plugins.ts";

const OWNER = { namespace: "default", id: "c1" };
const CONF = parseConf(
  '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp","ipam":{"type":"static"}}]}',
  "/f",
);
const ATTACHMENT = {
  conf: CONF,
  containerId: "default--c1",
  netns: "/run/n",
  ifname: "eth0",
  capabilityArgs: { mac: "x" },
};

function temporary(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync();
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

Deno.test("the store returns an attachment as it was recorded", () => {
  using directory = temporary();
  const path = `${directory.path}/state/network.db`;
  {
    using store = AttachmentStore.open(path);
    store.intend(OWNER, ATTACHMENT);
    assert.throws(() => store.intend(OWNER, ATTACHMENT), NetworkError);
  }
  using store = AttachmentStore.open(path);
  assert.deepEqual(store.list(OWNER), [{ ...ATTACHMENT, owner: OWNER, result: null, added: 0 }]);
  store.record(OWNER, "eth0", { ips: [] }, 1);
  assert.equal(store.list()[0]!.added, 1);
  assert.deepEqual(store.list()[0]!.result, { ips: [] });
  assert.deepEqual(store.list({ namespace: "default", id: "other" }), []);
  store.remove(OWNER, "eth0");
  assert.deepEqual(store.list(), []);
});

Deno.test("the error for a state directory that is not writable names it and the fix", () => {
  using directory = temporary();
  Deno.writeTextFileSync(`${directory.path}/file`, "");
  assert.throws(
    () => AttachmentStore.open(`${directory.path}/file/network.db`),
    /QEMUBOX_STATE_DIR/,
  );
  Deno.writeTextFileSync(
    `${directory.path}/network.db`,
    "no database at all, whatever it is called",
  );
  assert.throws(
    () => AttachmentStore.open(`${directory.path}/network.db`),
    /network\.db: .*database/,
  );
});

Deno.test("twenty processes at once lose no row", async () => {
  using directory = temporary();
  const path = `${directory.path}/network.db`;
  const program = new URL("./testing/store_child.ts", import.meta.url).pathname;
  const runs = Array.from({ length: 20 }, (_, index) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-lock", "--no-check", "--allow-all", program, path, `c${index}`],
    }).output());
  for (const { code, stderr } of await Promise.all(runs)) {
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  }
  assert.equal(attachedOwners(path).length, 20);
});

Deno.test("detachAll undoes the attachments of a dead process from the store alone", async () => {
  using plugins = new FakePlugins();
  using directory = temporary();
  const path = `${directory.path}/network.db`;
  const host = { path: [plugins.path], lockFile: `${directory.path}/lock` };
  assert.deepEqual(await detachAll(OWNER, path, host), []);
  assert.deepEqual(
    [...Deno.readDirSync(directory.path)],
    [],
    "no database is created if there is nothing to record",
  );
  plugins.add("ptp", "exit 5");
  {
    using store = AttachmentStore.open(path);
    store.intend(OWNER, ATTACHMENT);
    store.intend(OWNER, { ...ATTACHMENT, ifname: "eth1" });
    store.record(OWNER, "eth0", { interfaces: [] }, 1);
  }
  assert.equal((await detachAll(OWNER, path, host)).length, 2);
  assert.deepEqual(attachedOwners(path), [OWNER], "failed attachments stay in the store");
  plugins.add("ptp", "");
  assert.deepEqual(await detachAll(OWNER, path, host), []);
  assert.deepEqual(attachedOwners(path), []);
  assert.deepEqual(plugins.calls.slice(-2), ["ptp DEL eth1", "ptp DEL eth0"]);
  assert.deepEqual(plugins.stdin("ptp", "DEL")["prevResult"], { interfaces: [] });
});

Deno.test("DEL gets the last plugin's result, also if the next plugin failed in ADD", async () => {
  using plugins = new FakePlugins();
  using directory = temporary();
  const path = `${directory.path}/network.db`;
  const host = { path: [plugins.path], lockFile: `${directory.path}/lock` };
  const said = { cniVersion: "1.0.0", interfaces: [{ name: "eth0" }] };
  plugins.answering("ptp", said);
  plugins.add("bad", "test $CNI_COMMAND != ADD || exit 4");
  const conf = parseConf(
    '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},{"type":"bad"}]}',
    "/f",
  );
  const attachment = { ...ATTACHMENT, conf };
  await note(OWNER, attachment, path, host);
  await assert.rejects(attach(OWNER, attachment, path, host), /bad .* code 4/);
  assert.deepEqual(await detachAll(OWNER, path, host), []);
  for (const type of ["bad", "ptp"]) {
    assert.deepEqual(plugins.stdin(type, "DEL")["prevResult"], said);
  }
});

Deno.test("DEL is retried once for a plugin that refuses, and not for one that crashes", async () => {
  using plugins = new FakePlugins();
  using directory = temporary();
  const path = `${directory.path}/network.db`;
  const host = { path: [plugins.path], lockFile: `${directory.path}/lock` };
  const deletes = () => plugins.calls.filter((call) => call === "ptp DEL eth0").length;
  plugins.add(
    "ptp",
    `mkdir ${directory.path}/once 2>/dev/null || exit 0; echo '{"code":999,"msg":"no rules"}'; exit 1`,
  );
  await note(OWNER, ATTACHMENT, path, host);
  assert.deepEqual(await detachAll(OWNER, path, host), []);
  assert.equal(deletes(), 2);
  plugins.add("ptp", "exit 2");
  await note(OWNER, ATTACHMENT, path, host);
  assert.equal((await detachAll(OWNER, path, host)).length, 1);
  assert.equal(deletes(), 3);
});

Deno.test("a plugin that refuses a result without its part is called again without the result", async () => {
  using plugins = new FakePlugins();
  using directory = temporary();
  const path = `${directory.path}/network.db`;
  const host = { path: [plugins.path], lockFile: `${directory.path}/lock` };
  plugins.answering("ptp", { cniVersion: "1.0.0" });
  const refuse = `echo '{"code":999,"msg":"no tap in it"}'; exit 1`;
  plugins.add("tap", `case $stdin in *prevResult*) ${refuse};; esac`);
  const conf = parseConf(
    '{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},{"type":"tap"}]}',
    "/f",
  );
  const attachment = { ...ATTACHMENT, conf };
  await note(OWNER, attachment, path, host);
  await assert.rejects(attach(OWNER, attachment, path, host), /no tap in it/);
  assert.deepEqual(await detachAll(OWNER, path, host), []);
  assert.deepEqual(attachedOwners(path), []);
  assert.deepEqual(plugins.calls.slice(2), ["tap DEL eth0", "tap DEL eth0", "ptp DEL eth0"]);
});

Deno.test("a database of schema version 1 is migrated", () => {
  using directory = temporary();
  const path = `${directory.path}/network.db`;
  {
    using store = AttachmentStore.open(path);
    store.intend(OWNER, ATTACHMENT);
    store.record(OWNER, "eth0", { ips: [] }, 1);
  }
  {
    const database = new DatabaseSync(path);
    database.exec("ALTER TABLE attachments DROP COLUMN added; PRAGMA user_version = 1");
    database.close();
  }
  using store = AttachmentStore.open(path);
  const [taken] = store.list();
  assert.deepEqual([taken!.result, taken!.added], [{ ips: [] }, ATTACHMENT.conf.plugins.length]);
});
