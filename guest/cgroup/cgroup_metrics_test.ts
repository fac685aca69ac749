import assert from "node:assert/strict";
import { cgroups, create } from "../../proto/mod.ts";
import { readMetrics } from "./cgroup_metrics.ts";

/** The kernel's files. */
const FILES: Record<string, string> = {
  "pids.current": "3\n",
  "pids.max": "max\n",
  "cpu.stat": "usage_usec 12\nuser_usec 8\nsystem_usec 4\nnr_periods 2\nnr_throttled 1\n",
  "cpu.pressure":
    "some avg10=1.50 avg60=0.20 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
  "memory.current": "4096\n",
  "memory.max": "134217728\n",
  "memory.peak": "8192\n",
  "memory.stat": "anon 100\nfile 200\nworkingset_refault_anon 1\nworkingset_refault_file 2\n",
  "memory.events": "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n",
  "io.stat": "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n254:16 \nbad\n",
  "rdma.current": "mlx4_0 hca_handle=2 hca_object=2000\n",
  "rdma.max": "mlx4_0 hca_handle=max hca_object=max\n",
  "hugetlb.2MB.current": "2097152\n",
  "hugetlb.2MB.max": "max\n",
  "hugetlb.2MB.events": "max 6\n",
};

async function inDirectory(run: (directory: string) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    run(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("readMetrics returns the kernel's statistics in containerd's message", () =>
  inDirectory((directory) => {
    for (const [name, text] of Object.entries(FILES)) {
      Deno.writeTextFileSync(`${directory}/${name}`, text);
    }
    const metrics = create(cgroups.MetricsSchema, readMetrics(directory));
    const unlimited = 18446744073709551615n;
    assert.deepEqual([metrics.pids?.current, metrics.pids?.limit], [3n, unlimited]);
    assert.deepEqual([metrics.cpu?.usageUsec, metrics.cpu?.nrThrottled], [12n, 1n]);
    assert.deepEqual([metrics.cpu?.psi?.some?.avg10, metrics.cpu?.psi?.some?.total], [1.5, 77n]);
    const { memory } = metrics;
    assert.deepEqual(
      [memory?.usage, memory?.usageLimit, memory?.maxUsage, memory?.anon, memory?.file],
      [4096n, 134217728n, 8192n, 100n, 200n],
    );
    assert.equal(memory?.workingsetRefault, 3n);
    assert.deepEqual([metrics.memoryEvents?.max, metrics.memoryEvents?.oomKill], [5n, 1n]);
    assert.deepEqual(
      metrics.io?.usage.map(({ major, minor, rbytes, wios }) => [major, minor, rbytes, wios]),
      [[254n, 0n, 1n, 4n], [254n, 16n, 0n, 0n]],
    );
    const [huge] = metrics.hugetlb;
    assert.deepEqual([huge?.pagesize, huge?.current, huge?.max, huge?.failcnt], [
      "2MB",
      2097152n,
      unlimited,
      6n,
    ]);
    assert.deepEqual(
      [metrics.rdma?.current[0]?.hcaObjects, metrics.rdma?.limit[0]?.hcaHandles],
      [2000, 0xffff_ffff],
    );
  }));

Deno.test("controllers that are off have zeros", () =>
  inDirectory((directory) => {
    const metrics = create(cgroups.MetricsSchema, readMetrics(directory));
    assert.deepEqual([metrics.memory?.usage, metrics.pids?.limit, metrics.hugetlb], [0n, 0n, []]);
    assert.equal(metrics.cpu?.psi, undefined);
  }));

Deno.test("a missing cgroup is an error", () => {
  assert.throws(() => readMetrics("/no/such/cgroup"), Deno.errors.NotFound);
});
