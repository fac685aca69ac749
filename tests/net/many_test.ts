/** Twenty containers in twenty VMs at the same time, only with --full, since it takes minutes. */

import assert from "node:assert/strict";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { FULL } from "../lib/environment.ts";
import { networkState, networkTest, stateIs } from "./network_testbed.ts";

const AT_ONCE = 20;

if (FULL) {
  networkTest(
    "twenty containers at once get different addresses, reach the host, and leave nothing",
    ["dual-stack"],
    async ({ newId }) => {
      const before = networkState();
      const script = `ping -q -c 1 -W 30 10.89.0.1 >/dev/null && ip -o addr show eth0 |
        sed -E 's/.* inet6? ([^/]*).*/\\1/' | grep -v ^fe80; echo up; exec sleep 3600`;
      const flags = ["--rm", "--annotation", "io.qemubox.networks=qemubox-dual"];
      const ids = Array.from({ length: AT_ONCE }, () => newId());
      await using stack = new AsyncDisposableStack();
      const clients = ids.map((id) =>
        stack.use(new Client(runArguments(id, ["sh", "-c", script], { flags })))
      );
      await Promise.all(clients.map((client) => client.line("up")));
      const addresses = clients.flatMap(({ said }) => said.trim().split("\n").slice(0, -1));
      assert.equal(addresses.length, AT_ONCE * 2, addresses.join(" "));
      assert.equal(new Set(addresses).size, AT_ONCE * 2);
      await Promise.all(ids.map((id) => ctr("task", "kill", "-s", "SIGKILL", id)));
      await Promise.all(clients.map((client) => client.ended));
      await stateIs(before);
    },
  );
}
