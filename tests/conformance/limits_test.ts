/** Limits, read back from the container's cgroup and enforced. */

import assert from "node:assert/strict";
import { MIB } from "../../base/mod.ts";
import { patience, until } from "../lib/wait.ts";
import { Box, update } from "./box.ts";
import { conformance } from "./conformance.ts";
import { IS_OURS } from "./shim.ts";

/** Exit status: 128 and the signal's number. */
const SIGKILLED = 137;
const GROUP = "/sys/fs/cgroup";
const SHELL = "trap 'exit 143' TERM; while :; do sleep 1000 & wait; done";
/** A disk of a host, which no guest has. */
const HOST_DISK = { major: 8, minor: 0 };

/** Returns the contents of files in the container's cgroup. */
async function readBack(box: Box, ...files: string[]): Promise<Record<string, string>> {
  const script = files.map((file) => `echo $(cat ${GROUP}/${file})`).join("; ");
  const { stdout, stderr } = await box.run(["sh", "-c", script]);
  assert.equal(stderr, "");
  return Object.fromEntries(
    stdout.trimEnd().split("\n").map((text, index) => [files[index], text]),
  );
}

/** cpu.weight of a cgroup by default. */
const RIVAL_WEIGHT = 100;

/**
 * Returns the share of the CPU that a busy container gets beside a busy sibling of its cgroup, and
 * its weight.
 */
async function besideRival(box: Box): Promise<{ share: number; weight: number }> {
  const used = (group: string) => `$(sed -n 's/usage_usec //p' ${group}/cpu.stat)`;
  const script = `
    own=${GROUP}$(sed s/0::// /proc/1/cgroup); rival=\${own%/*}/rival
    mkdir -p $rival
    sh -c "echo \\$\\$ >$rival/cgroup.procs; while :; do :; done" &
    until grep -q . $rival/cgroup.procs; do :; done
    cat $own/cpu.weight
    echo ${used("$own")} ${used("$rival")}; sleep 6; echo ${used("$own")} ${used("$rival")}
    kill $!
  `;
  const { stdout, stderr } = await box.run(["sh", "-c", script]);
  assert.equal(stderr, "");
  const [weight, ...usec] = stdout.trim().split(/\s+/).map(Number) as number[];
  const [own, rival] = [usec[2]! - usec[0]!, usec[3]! - usec[1]!];
  return { share: own / (own + rival), weight: weight! };
}

conformance("limits are in the container's cgroup and are enforced", async (host, t) => {
  await using box = await Box.create(host, ["sh", "-c", SHELL], {
    streams: {},
    resources: {
      memory: { limit: 100 * MIB, reservation: 50 * MIB, swap: 100 * MIB },
      cpu: { quota: 25_000, period: 100_000, shares: 512 },
      pids: { limit: 30 },
    },
  });
  await box.start();

  await t.step("its cgroup has them", async () => {
    assert.deepEqual(
      await readBack(box, "memory.max", "memory.low", "memory.swap.max", "cpu.max", "pids.max"),
      {
        "memory.max": `${100 * MIB}`,
        "memory.low": `${50 * MIB}`,
        "memory.swap.max": "0",
        "cpu.max": "25000 100000",
        "pids.max": "30",
      },
    );
    const { "cpu.weight": weight } = await readBack(box, "cpu.weight");
    assert(Number(weight) > 1 && Number(weight) < 100, weight);
  });

  await t.step("a quota of 25 % gives a quarter of the time", async () => {
    const [before, from] = [await box.stats(), performance.now()];
    await box.run(["sh", "-c", "(while :; do :; done) & sleep 4; kill $!"]);
    const [after, to] = [await box.stats(), performance.now()];
    const used = Number(after.cpu!.usageUsec - before.cpu!.usageUsec) / 1000;
    assert(used / (to - from) < 0.33, `${used} ms of ${to - from}`);
    assert(used > 500, `${used} ms`);
    assert(after.cpu!.nrThrottled > before.cpu!.nrThrottled + 10n);
  });

  await t.step("a process beyond the PID limit cannot be started", async () => {
    const script = "for i in $(seq 60); do sleep 2 & done; echo all";
    const { status, stdout, stderr } = await box.run(["sh", "-c", script]);
    assert.deepEqual([status !== 0, stdout], [true, ""]);
    assert.match(stderr, /can't fork: Resource temporarily unavailable/);
    await until("exit of the processes within the limit", patience(20_000), async () => {
      const { current } = (await box.stats()).pids!;
      assert(current <= 30n);
      return current <= 2n || null;
    });
  });

  await t.step("Update raises and lowers them", async () => {
    await update(box, {
      cpu: { quota: 50_000, period: 50_000, shares: 1024 },
      pids: { limit: 200 },
    });
    assert.deepEqual(await readBack(box, "cpu.max", "pids.max", "memory.max"), {
      "cpu.max": "50000 50000",
      "pids.max": "200",
      "memory.max": `${100 * MIB}`,
    });
    const script = "for i in $(seq 60); do sleep 0 & done; wait; echo all";
    assert.equal((await box.run(["sh", "-c", script])).stdout, "all\n");
  });
});

if (IS_OURS) {
  conformance("shares are what is left to a container under load", async (host) => {
    await using box = await Box.create(host, ["sh", "-c", "while :; do :; done"], {
      streams: {},
      ownCgroups: false,
      resources: { cpu: { shares: 512 } },
    });
    await box.start();
    for (const isFavoured of [false, true]) {
      const { share, weight } = await besideRival(box);
      assert.equal(weight > RIVAL_WEIGHT, isFavoured, `${weight}`);
      const due = weight / (weight + RIVAL_WEIGHT);
      assert(Math.abs(share - due) < 0.1, `${share} of the CPU, ${due} are due`);
      await update(box, { cpu: { shares: 16_384 } });
    }
  });

  conformance("an update brings vCPUs, and takes them, within the VM's", async (host) => {
    await using box = await Box.create(host, ["sh", "-c", SHELL], {
      streams: {},
      annotations: { "io.qemubox.vcpus-max": "2" },
      resources: { cpu: { quota: 100_000, period: 100_000 } },
    });
    await box.start();
    const processors = async () => Number((await box.run(["nproc"])).stdout);
    assert.equal(await processors(), 1);
    await update(box, { cpu: { quota: 150_000, period: 100_000 } });
    assert.equal(await processors(), 2);
    await assert.rejects(
      update(box, { cpu: { quota: 300_000, period: 100_000 } }),
      /cpu\.quota of 3\.00 vCPUs is more than its VM has: 2/,
    );
    await update(box, { cpu: { quota: 50_000, period: 100_000 } });
    assert.equal(await processors(), 1);
    await update(box, { cpu: { quota: -1 } });
    assert.equal(await processors(), 2);
  });

  conformance("an update brings memory, and takes it, within the VM's", async (host) => {
    await using box = await Box.create(host, ["sh", "-c", SHELL], {
      streams: {},
      annotations: { "io.qemubox.memory-mib-max": "512" },
      resources: { memory: { limit: 128 * MIB } },
    });
    await box.start();
    const take = async (mib: number) =>
      (await box.run(["dd", "if=/dev/zero", "of=/dev/null", `bs=${mib}M`, "count=1"])).status;
    const free = async () => {
      const { stdout } = await box.run([
        "sed",
        "-n",
        "s/^MemFree: *\\(.*\\) kB/\\1/p",
        "/proc/meminfo",
      ]);
      return Number(stdout) / 1024;
    };
    // The VM has 768 MiB, of which it may use 384.
    await until("less than 384 MiB", patience(30_000), async () => await free() < 384 || null);
    assert.equal(await take(200), SIGKILLED);
    await update(box, { memory: { limit: 500 * MIB } });
    assert.deepEqual(await readBack(box, "memory.max"), { "memory.max": `${500 * MIB}` });
    assert.equal(await take(450), 0);
    await assert.rejects(
      update(box, { memory: { limit: 513 * MIB } }),
      /513 MiB is more than its VM has: 768 MiB, 256 of them for the guest itself/,
    );
    await update(box, { memory: { limit: 128 * MIB } });
    await until(
      "less than 384 MiB again",
      patience(30_000),
      async () => await free() < 384 || null,
    );
    assert.equal(await take(200), SIGKILLED);
  });

  conformance("limits of the host's disks hold for the container's own", async (host, t) => {
    const rate = (rate: number) => [{ ...HOST_DISK, rate }];
    await using box = await Box.create(host, ["sh", "-c", SHELL], {
      streams: {},
      annotations: { "io.qemubox.writable": "disk" },
      resources: {
        blockIO: {
          weight: 200,
          weightDevice: [{ ...HOST_DISK, weight: 10 }],
          throttleWriteBpsDevice: rate(4 * MIB),
          throttleReadIOPSDevice: rate(1000),
        },
      },
    });
    await box.start();
    const write = async () => {
      const from = performance.now();
      const dd = "dd if=/dev/zero of=/big bs=1M count=16 conv=fsync 2>/dev/null";
      assert.equal((await box.run(["sh", "-c", dd])).status, 0);
      return performance.now() - from;
    };

    await t.step("its cgroup has them with the numbers of its own disk", async () => {
      const { "io.max": limits } = await readBack(box, "io.max");
      assert.match(limits!, /^254:\d+ rbps=max wbps=4194304 riops=1000 wiops=max$/);
    });

    await t.step(
      "16 MiB at 4 MiB/s take 4 s, and less without the limit",
      async () => {
        const slow = await write();
        assert(slow > 3_000, `${slow} ms`);
        await update(box, { blockIO: { throttleWriteBpsDevice: rate(0) } });
        const { "io.max": limits } = await readBack(box, "io.max");
        assert.match(limits!, /wbps=9007199254740991 riops=1000/);
        const quick = await write();
        assert(quick < slow / 2, `${quick} ms, and ${slow} ms before`);
      },
    );
  });
}
