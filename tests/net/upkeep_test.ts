/** CHECK and GC of CNI, with Debian's own plugins and one that implements GC. */

import assert from "node:assert/strict";
import { readIfPresent } from "../../base/mod.ts";
import { ctrOk, runArguments } from "../lib/ctr.ts";
import { forceRemove, startDetached } from "../lib/containers.ts";
import { until } from "../lib/wait.ts";
import { networkTest, sh } from "./network_testbed.ts";

const SHIM = "containerd-shim-qemubox-v1";
const ADDRESSES = "/var/lib/cni/networks/qemubox-net";
const GC_FILE = "/run/qemubox/netns/.lock.gc";
const LIBCNI = "/var/lib/cni/results";
const COLLECTS = "/usr/lib/cni/collects";
const COLLECTED_WITHIN_MS = 20_000;
/** host-local's file for an attachment that nothing knows any more. */
const LEAKED = `${ADDRESSES}/10.88.77.7`;
/** Debian's plugins accept GC and do nothing; this one does what host-local's GC has to do. */
const PLUGIN = `#!/bin/sh
conf=$(cat)
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}' ;;
ADD) echo "$conf" | sed -E 's/.*"prevResult"://; s/}$//' ;;
GC)
  echo ran >>/run/collected
  for file in ${ADDRESSES}/10.*; do
    id=$(head -n 1 $file | tr -d '\\r')
    echo "$conf" | grep -q "\\"containerID\\":\\"$id\\"" || rm $file
  done ;;
esac
`;

const withGc = (text: string) =>
  text.replace('"cniVersion": "1.0.0"', '"cniVersion": "1.1.0"')
    .replace('{ "type": "firewall" }', '{ "type": "firewall" }, { "type": "collects" }');

/** Runs `check` of the shim's program. */
async function check(id: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(SHIM, {
    args: ["-namespace", "default", "-id", id, "check"],
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

networkTest(
  "check reports whether a network is as its plugins left it, and what has changed",
  ["default"],
  async ({ newId }) => {
    const id = newId();
    const flags = ["-d", "--annotation", "io.qemubox.port-mappings=18080:80"];
    await ctrOk(...runArguments(id, ["sleep", "1000"], { flags }));
    const inNetns = `nsenter --net=/run/qemubox/netns/default--${id}`;
    assert.deepEqual(await check(id), {
      code: 0,
      stdout: "eth0 on qemubox-net: as its plugins left it\n",
      stderr: "",
    });
    await sh(`${inNetns} ip route del default`);
    const changed = await check(id);
    assert.equal(changed.code, 1);
    assert.match(
      changed.stdout,
      /^eth0 on qemubox-net: changed: CNI plugin bridge of network qemubox-net failed to CHECK: .+\n$/,
    );
    assert.match(changed.stderr, new RegExp(`default/${id}: 1 of 1 networks changed$`));
    await forceRemove(id);
    assert.match((await check(id)).stderr, new RegExp(`default/${id} is on no network`));
  },
);

networkTest(
  "unknown addresses are released once after a boot, those of other runtimes never",
  ["default"],
  async ({ newId }) => {
    const collected = async () => (await sh("cat /run/collected 2>/dev/null | wc -l")).trim();
    const start = async () => {
      const id = newId();
      await startDetached(id);
      return id;
    };
    const noted = (network: string) =>
      until("garbage collection", COLLECTED_WITHIN_MS, () => {
        return readIfPresent(GC_FILE)?.split("\n").includes(network) || null;
      });
    const leak = () => Deno.writeTextFileSync(LEAKED, "default--lost\r\neth0");
    const held = () => sh(`grep -l default-- ${ADDRESSES}/10.* | wc -l`);
    Deno.writeTextFileSync(COLLECTS, PLUGIN, { mode: 0o755 });
    try {
      // Another runtime is on the network, or was and did not clean up.
      leak();
      await sh(`rm -f ${GC_FILE}; mkdir -p ${LIBCNI}`);
      const other = { kind: "cniCacheV1", containerId: "x", networkName: "qemubox-net" };
      Deno.writeTextFileSync(`${LIBCNI}/qemubox-net-x-eth0`, JSON.stringify(other));
      const first = await start();
      await noted("qemubox-net");
      assert.equal(await collected(), "0");
      assert.equal((await held()).trim(), "2");

      // As after a boot, without the other runtime.
      await sh(`rm ${GC_FILE} ${LIBCNI}/qemubox-net-x-eth0`);
      const second = await start();
      await until(
        "a second garbage collection",
        COLLECTED_WITHIN_MS,
        async () => await collected() === "1" || null,
      );
      await until(
        "release of the leaked address",
        COLLECTED_WITHIN_MS,
        async () => (await held()).trim() === "2" || null,
      );
      assert.equal(await sh(`test ! -e ${LEAKED} && echo gone`), "gone\n");
      assert.equal((await check(first)).code, 0);

      // It does not run again.
      const third = await start();
      for (const id of [first, second, third]) await forceRemove(id);
      assert.equal(await collected(), "1");
    } finally {
      await sh(`rm -rf ${COLLECTS} ${LEAKED} ${LIBCNI} /run/collected`);
    }
  },
  withGc,
);
