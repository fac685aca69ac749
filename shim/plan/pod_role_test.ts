import assert from "node:assert/strict";
import { podResources, podRoleOf } from "./pod_role.ts";

const cri = (facts: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [`io.kubernetes.cri.${key}`, value]),
  );

Deno.test("annotations say what a container is to others", () => {
  assert.deepEqual(podRoleOf({}), { kind: "alone" });
  assert.deepEqual(podRoleOf(cri({ "sandbox-id": "p" })), { kind: "alone" });
  const sandbox = cri({ "container-type": "sandbox", "sandbox-id": "p" });
  assert.deepEqual(podRoleOf(sandbox), { kind: "sandbox" });
  const member = cri({ "container-type": "container", "sandbox-id": "p" });
  assert.deepEqual(podRoleOf(member), { kind: "container", sandboxId: "p" });
  assert.throws(
    () => podRoleOf(cri({ "container-type": "container" })),
    /needs the annotation io\.kubernetes\.cri\.sandbox-id/,
  );
  assert.throws(() => podRoleOf(cri({ "container-type": "pod" })), /container-type=pod is neither/);
});

Deno.test("a pod's VM is made for what the kubelet has summed up, if it has", () => {
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
