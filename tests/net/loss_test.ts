/**
 * Kills, full disks and missing namespaces while a container is attached: nothing may stay, and the
 * container can be started again.
 */

import assert from "node:assert/strict";
import { AttachmentStore, type StoredAttachment } from "../../net/mod.ts";
import { configured } from "../lib/configured.ts";
import { forceRemove, FOREVER, startDetached } from "../lib/containers.ts";
import { ctr, runArguments } from "../lib/ctr.ts";
import { kill, qemuOf, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { patience, until } from "../lib/wait.ts";
import {
  CONF_DIR,
  joinNetworks,
  lines,
  networkState,
  networkTest,
  PLUGIN_PATH,
  sh,
  stateIs,
  STORE,
} from "./network_testbed.ts";

const PLUGINS = PLUGIN_PATH[0]!;
const DEFAULT = `${CONF_DIR}/default.conflist`;
const STATE_FOLDER = STORE.slice(0, STORE.lastIndexOf("/"));
const SEEN_WITHIN_MS = patience(20_000);
/** Limit of containerd, see shim/commands/cli.ts. */
const ID_CHARACTERS_MAX = 76;

const detached = (id: string) => runArguments(id, FOREVER, { flags: ["-d"] });

/** Installs a plugin until the result is disposed. */
function plugin(name: string, script: string): Disposable {
  Deno.writeTextFileSync(`${PLUGINS}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return { [Symbol.dispose]: () => Deno.removeSync(`${PLUGINS}/${name}`) };
}

/** Returns the text of a configuration with its chain of plugins edited. */
function edited(text: string, edit: (plugins: object[]) => object[]): string {
  const conf = JSON.parse(text);
  return JSON.stringify({ ...conf, plugins: edit(conf.plugins) });
}

networkTest("a killed QEMU leaves nothing, with the longest of names", [
  "default",
], async ({ newId }) => {
  const before = networkState();
  const id = newId(ID_CHARACTERS_MAX);
  await startDetached(id);
  kill(qemuOf(id), "SIGKILL");
  await until(
    "exit of QEMU",
    SEEN_WITHIN_MS,
    () => sandboxProcesses(id).every(({ role }) => role !== "qemu") || null,
  );
  await forceRemove(id);
  await stateIs(before);
});

networkTest("a missing network namespace does not keep anything from being released", [
  "default",
], async ({ newId }) => {
  const before = networkState();
  const id = newId();
  await startDetached(id);
  kill(shimOf(id), "SIGKILL");
  const path = `/run/qemubox/netns/default--${id}`;
  await sh(`umount -l ${path} 2>/dev/null || true; rm -f ${path}`);
  await forceRemove(id);
  await stateIs(before);
});

networkTest("attachments from before a reboot are detached when the next container starts", [
  "default",
], async ({ newId }) => {
  const before = networkState();
  const orphan = await attachedOnce("rebooted");
  // A reboot leaves the row and the allocated address.
  {
    using store = AttachmentStore.open(STORE);
    store.intend(orphan.owner, orphan);
    store.record(orphan.owner, orphan.ifname, orphan.result, orphan.added);
  }
  const [{ address }] = (orphan.result as { ips: [{ address: string }] }).ips;
  const file = `/var/lib/cni/networks/qemubox-net/${address.split("/")[0]}`;
  Deno.writeTextFileSync(file, `${orphan.containerId}\r\n${orphan.ifname}`);
  const id = newId();
  await startDetached(id);
  await until("release of the address and the row", SEEN_WITHIN_MS, () => {
    using store = AttachmentStore.open(STORE);
    return store.list(orphan.owner).length === 0 && lines(`ls ${file}`).length === 0 || null;
  });
  await forceRemove(id);
  await stateIs(before);
});

/** Attaches a network and detaches it again. Returns the attachment's row. */
async function attachedOnce(id: string): Promise<StoredAttachment> {
  await using joined = await joinNetworks(id, "qemubox-net", { ports: "18080:80" });
  await joined.connect();
  using store = AttachmentStore.open(STORE);
  return store.list({ namespace: "test", id })[0]!;
}

networkTest(
  "a plugin killed in its ADD is named, and the container's name can be reused at once",
  ["default"],
  async ({ newId }) => {
    const before = networkState();
    const good = Deno.readTextFileSync(DEFAULT);
    const marker = "27182818";
    using _sleeps = plugin("sleeps", `test $CNI_COMMAND != ADD || exec sleep ${marker}`);
    Deno.writeTextFileSync(DEFAULT, edited(good, (all) => [...all, { type: "sleeps" }]));
    const id = newId();
    const ended = ctr(...detached(id));
    const pid = await until(
      "the plugin",
      SEEN_WITHIN_MS,
      () => lines(`pgrep -x -f "sleep ${marker}"`)[0] ?? null,
    );
    kill(Number(pid), "SIGKILL");
    const { code, stderr } = await ended;
    assert.notEqual(code, 0);
    assert.match(
      stderr,
      /CNI plugin sleeps of network qemubox-net was killed by signal 9 during ADD/,
    );
    await ctr("container", "rm", id);
    Deno.writeTextFileSync(DEFAULT, good);
    await startDetached(id);
    await forceRemove(id);
    await stateIs(before);
  },
);

networkTest("a plugin's crash is undone at each position of the chain", [
  "default",
], async () => {
  using _crashes = plugin("crashes", "test $CNI_COMMAND != ADD || kill -SEGV $$");
  const good = Deno.readTextFileSync(DEFAULT);
  const count = JSON.parse(good).plugins.length;
  for (let position = 0; position <= count; position++) {
    const before = networkState();
    Deno.writeTextFileSync(
      DEFAULT,
      edited(good, (all) => all.toSpliced(position, 0, { type: "crashes" })),
    );
    {
      await using joined = await joinNetworks("crash", "qemubox-net", { ports: "18080:80" });
      await assert.rejects(joined.connect(), /CNI plugin crashes .* was killed by signal 11/);
    }
    await stateIs(before);
    Deno.writeTextFileSync(DEFAULT, good);
    {
      await using again = await joinNetworks("crash", "qemubox-net");
      await again.connect();
    }
    await stateIs(before);
  }
});

networkTest(
  "a full disk of the state directory is reported, and nothing is left once there is room",
  ["default"],
  async ({ newId }) => {
    // Otherwise the container's writable disk would need room there first.
    using _configured = configured({ writable: "tmpfs" });
    const good = Deno.readTextFileSync(DEFAULT);
    await sh(`mkdir -p ${STATE_FOLDER}; mount -t tmpfs -o size=512k,mode=711 full ${STATE_FOLDER}`);
    // dd(1) fails when nothing more fits.
    const fill = `dd if=/dev/zero of=${STATE_FOLDER}/filled bs=4096 2>/dev/null`;
    using _fills = plugin("fills", `test $CNI_COMMAND != ADD || { ${fill}; cat; }`);
    try {
      const refused = async (id: string) => {
        const { code, stderr } = await ctr(...detached(id));
        assert.notEqual(code, 0);
        assert.match(stderr, /\/network\.db: .*the disk must not be full \(QEMUBOX_STATE_DIR\)/);
        await ctr("container", "rm", id);
      };
      const before = networkState();
      await sh(`${fill} || true`);
      await refused(newId());
      await sh(`rm ${STATE_FOLDER}/filled`);
      await stateIs(before);

      // The disk fills up while the plugins run: the row with the address cannot be changed.
      const first = edited(good, (all) => [...all, { type: "fills" }]);
      Deno.writeTextFileSync(DEFAULT, first);
      await refused(newId());
      Deno.writeTextFileSync(DEFAULT, good);
      await sh(`rm ${STATE_FOLDER}/filled`);
      const id = newId();
      await startDetached(id);
      await forceRemove(id);
      await stateIs(before);
    } finally {
      await sh(`umount -l ${STATE_FOLDER}`);
    }
  },
);
