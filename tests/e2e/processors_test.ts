/** vCPUs that come and go by load; for those of an update see tests/conformance/limits_test.ts. */

import assert from "node:assert/strict";
import { annotations, configured } from "../lib/configured.ts";
import { Client, runArguments } from "../lib/ctr.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

e2e("without a quota, load brings a vCPU and idleness takes it away", async (bench) => {
  using _ = configured({ vcpus_cooldown_seconds: 2, vcpus_grow_percent: 40 });
  const id = bench.newId();
  // On a slow machine a container's start alone is enough load.
  const script = `until [ $(nproc) = 1 ]; do sleep 0.2; done; echo idle; read _
    (while :; do :; done) & one=$!; (while :; do :; done) & two=$!
    until [ $(nproc) = 2 ]; do sleep 0.2; done; echo grown; kill $one $two
    until [ $(nproc) = 1 ]; do sleep 0.2; done; echo shrunk; read _`;
  const flags = ["--rm", ...annotations({ "vcpus-max": "2" })];
  await using client = new Client(runArguments(id, ["sh", "-c", script], { flags }), {
    input: true,
  });
  await client.line("idle");
  await client.write("go on\n");
  await client.line("grown");
  await client.line("shrunk");
  await client.write("go on\n");
  assert.equal((await client.ended).stdout, "idle\ngrown\nshrunk\n");
  await until(
    "exit of all processes",
    patience(5_000),
    () => sandboxProcesses(id).length === 0 || null,
  );
});
