/** vhost-net: the packets of a container bypass QEMU, which only holds the devices. */

import assert from "node:assert/strict";
import { assertConfined } from "../lib/confined.ts";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { networkState, networkTest, stateIs } from "../net/network_testbed.ts";
import { qemuOf } from "../lib/sandbox_processes.ts";

networkTest(
  "a container's NICs use vhost-net where the host has it, and QEMU is confined",
  ["default", "storage"],
  async ({ newId }) => {
    const before = networkState();
    const id = newId();
    const script = "ping -q -c 2 -W 60 10.88.0.1 | grep received; echo up; exec sleep 3600";
    const flags = ["--rm", "--annotation", "io.qemubox.networks=qemubox-net,qemubox-storage"];
    await using client = new Client(runArguments(id, ["sh", "-c", script], { flags }));
    await client.line("up");
    assert.equal(client.said, "2 packets transmitted, 2 packets received, 0% packet loss\nup\n");
    const qemu = qemuOf(id);
    const open = [...Deno.readDirSync(`/proc/${qemu}/fd`)]
      .map(({ name }) => Deno.readLinkSync(`/proc/${qemu}/fd/${name}`));
    for (const device of ["/dev/vhost-net", "/dev/net/tun"]) {
      assert.equal(open.filter((one) => one === device).length, 2, open.join(", "));
    }
    assertConfined(qemu, id);
    await ctr("task", "kill", "-s", "SIGKILL", id);
    await client.ended;
    await stateIs(before);
  },
);
