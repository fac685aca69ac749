import assert from "node:assert/strict";
import { assertRefused } from "../testing/refused.ts";
import { podResources, podRoleOf } from "./pod_role.ts";

const cri = (facts: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [`io.kubernetes.cri.${key}`, value]),
  );

Deno.test("a container's role in a pod comes from the annotations of containerd's CRI plugin", () => {
  assert.deepEqual(podRoleOf({}), { kind: "alone" });
  assert.deepEqual(podRoleOf(cri({ "sandbox-id": "p" })), { kind: "alone" });
  const sandbox = cri({ "container-type": "sandbox", "sandbox-id": "p" });
  assert.deepEqual(podRoleOf(sandbox), { kind: "sandbox" });
  const container = cri({ "container-type": "container", "sandbox-id": "p" });
  assert.deepEqual(podRoleOf(container), { kind: "container", sandboxId: "p" });
  const alone = cri({ "container-type": "container" });
  assertRefused(
    () => podRoleOf(alone),
    "invalid",
    /^annotation io\.kubernetes\.cri\.sandbox-id is missing: a pod container needs it/,
  );
  assert.throws(() => podRoleOf(alone), {
    field: "annotation io.kubernetes.cri.sandbox-id",
    fix: "a pod container needs it with the sandbox's id",
  });
  assertRefused(
    () => podRoleOf(cri({ "container-type": "pod" })),
    "invalid",
    /^annotation io\.kubernetes\.cri\.container-type=pod is neither "sandbox" nor "container"$/,
  );
});

Deno.test("a pod's VM is sized by the limits that the kubelet sums up, if there are any", () => {
  assert.equal(podResources({}), null);
  for (const nothing of ["", "0", "-1", "1e9", "9".repeat(19)]) {
    const facts = cri({ "sandbox-memory": nothing, "sandbox-cpu-quota": nothing });
    assert.equal(podResources(facts), null, nothing);
  }
  assert.deepEqual(
    podResources(cri({
      ...{ "sandbox-memory": "268435456", "sandbox-cpu-quota": "150000" },
      ...{ "sandbox-cpu-period": "100000", "sandbox-cpu-shares": "2" },
    })),
    { memory: { limit: 268435456n }, cpu: { quota: 150000n, period: 100000n } },
  );
  assert.deepEqual(podResources(cri({ "sandbox-cpu-quota": "5" })), { cpu: { quota: 5n } });
});
