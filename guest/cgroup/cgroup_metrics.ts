import { type cgroups as messages, type MessageInitShape } from "../../proto/mod.ts";
import { flatKeyed } from "../base/kernel_file.ts";

/** The kernel's "max" in a message: no limit. */
const UNLIMITED = 2n ** 64n - 1n;
/** Limit of lines read of a file, which has one per device or page size. */
const LINES_MAX = 256;

/**
 * Reads the statistics of the cgroup at `directory`, from the files of its controllers
 * (Documentation/admin-guide/cgroup-v2.rst). Values of missing files are 0 or left out.
 *
 * @throws {Deno.errors.NotFound} there is no such cgroup
 */
export function readMetrics(directory: string): CgroupMetrics {
  const sizes = [...Deno.readDirSync(directory)]
    .map(({ name }) => /^hugetlb\.([0-9]+[KMG]B)\.current$/.exec(name)?.[1])
    .filter((size) => size !== undefined);
  const files: Files = {
    text: (name) => textOf(`${directory}/${name}`),
    number: (name) => numberIn(textOf(`${directory}/${name}`)),
  };
  const memory = memoryOf(files);
  return {
    pids: { current: files.number("pids.current"), limit: files.number("pids.max") },
    cpu: cpuOf(files),
    memory,
    memoryEvents: memoryEventsOf(files),
    io: { usage: ioOf(files.text("io.stat")), ...psiOf(files.text("io.pressure")) },
    rdma: {
      current: rdmaOf(files.text("rdma.current")),
      limit: rdmaOf(files.text("rdma.max")),
    },
    hugetlb: sizes.map((pagesize) => ({
      pagesize,
      current: files.number(`hugetlb.${pagesize}.current`),
      max: files.number(`hugetlb.${pagesize}.max`),
      failcnt: flatKeyed(files.text(`hugetlb.${pagesize}.events`)).get("max") ?? 0n,
    })),
  };
}

/** Statistics of a cgroup, as containerd sends them. */
export type CgroupMetrics = MessageInitShape<typeof messages.MetricsSchema>;

/** The files of one cgroup, by name. */
interface Files {
  /** Returns a file's text; empty if there is no such file. */
  text(name: string): string;
  /** Returns the number in a file; "max" is the largest. */
  number(name: string): bigint;
}

function cpuOf(files: Files): NonNullable<CgroupMetrics["cpu"]> {
  const stat = counters(files.text("cpu.stat"));
  return {
    usageUsec: stat("usage_usec"),
    userUsec: stat("user_usec"),
    systemUsec: stat("system_usec"),
    nrPeriods: stat("nr_periods"),
    nrThrottled: stat("nr_throttled"),
    throttledUsec: stat("throttled_usec"),
    nrBursts: stat("nr_bursts"),
    burstUsec: stat("burst_usec"),
    ...psiOf(files.text("cpu.pressure")),
  };
}

function memoryOf(files: Files): NonNullable<CgroupMetrics["memory"]> {
  const stat = counters(files.text("memory.stat"));
  return {
    usage: files.number("memory.current"),
    usageLimit: files.number("memory.max"),
    maxUsage: files.number("memory.peak"),
    swapUsage: files.number("memory.swap.current"),
    swapLimit: files.number("memory.swap.max"),
    swapMaxUsage: files.number("memory.swap.peak"),
    anon: stat("anon"),
    file: stat("file"),
    kernelStack: stat("kernel_stack"),
    slab: stat("slab"),
    sock: stat("sock"),
    shmem: stat("shmem"),
    fileMapped: stat("file_mapped"),
    fileDirty: stat("file_dirty"),
    fileWriteback: stat("file_writeback"),
    anonThp: stat("anon_thp"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    slabReclaimable: stat("slab_reclaimable"),
    slabUnreclaimable: stat("slab_unreclaimable"),
    pgfault: stat("pgfault"),
    pgmajfault: stat("pgmajfault"),
    // Since Linux 5.9 anonymous memory and files are counted separately.
    workingsetRefault: stat("workingset_refault_anon") + stat("workingset_refault_file"),
    workingsetActivate: stat("workingset_activate_anon") + stat("workingset_activate_file"),
    workingsetNodereclaim: stat("workingset_nodereclaim"),
    pgrefill: stat("pgrefill"),
    pgscan: stat("pgscan"),
    pgsteal: stat("pgsteal"),
    pgactivate: stat("pgactivate"),
    pgdeactivate: stat("pgdeactivate"),
    pglazyfree: stat("pglazyfree"),
    pglazyfreed: stat("pglazyfreed"),
    thpFaultAlloc: stat("thp_fault_alloc"),
    thpCollapseAlloc: stat("thp_collapse_alloc"),
    ...psiOf(files.text("memory.pressure")),
  };
}

function memoryEventsOf(files: Files): NonNullable<CgroupMetrics["memoryEvents"]> {
  const event = counters(files.text("memory.events"));
  return {
    low: event("low"),
    high: event("high"),
    max: event("max"),
    oom: event("oom"),
    oomKill: event("oom_kill"),
    oomGroupKill: event("oom_group_kill"),
  };
}

/** Lines such as "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0". */
function ioOf(text: string): NonNullable<NonNullable<CgroupMetrics["io"]>["usage"]> {
  return lines(text).flatMap((line) => {
    const [, major, minor] = /^([0-9]+):([0-9]+) /.exec(line) ?? [];
    if (major === undefined) return [];
    const value = assignments(line);
    return [{
      major: BigInt(major),
      minor: BigInt(minor as string),
      rbytes: value("rbytes"),
      wbytes: value("wbytes"),
      rios: value("rios"),
      wios: value("wios"),
    }];
  });
}

/** Lines such as "mlx4_0 hca_handle=2 hca_object=2000". */
function rdmaOf(text: string): { device: string; hcaHandles: number; hcaObjects: number }[] {
  const cut = (value: bigint): number => Number(value > 0xffff_ffffn ? 0xffff_ffffn : value);
  return lines(text).map((line) => {
    const value = assignments(line);
    return {
      device: line.split(" ", 1)[0] as string,
      hcaHandles: cut(value("hca_handle")),
      hcaObjects: cut(value("hca_object")),
    };
  });
}

/** Lines such as "some avg10=0.00 avg60=0.00 avg300=0.00 total=0". Empty without them. */
function psiOf(text: string): { psi?: NonNullable<CgroupMetrics["cpu"]>["psi"] } {
  const found: Record<string, object> = {};
  for (const line of lines(text)) {
    const [, kind, avg10, avg60, avg300, total] =
      /^(some|full) avg10=([0-9.]+) avg60=([0-9.]+) avg300=([0-9.]+) total=([0-9]+)$/.exec(line) ??
        [];
    if (kind === undefined) continue;
    found[kind] = {
      avg10: Number(avg10),
      avg60: Number(avg60),
      avg300: Number(avg300),
      total: BigInt(total as string),
    };
  }
  return "some" in found || "full" in found ? { psi: found } : {};
}

function counters(text: string): (name: string) => bigint {
  const values = flatKeyed(text);
  return (name) => values.get(name) ?? 0n;
}

/** The numbers of a "nested keyed" line. */
function assignments(line: string): (name: string) => bigint {
  const values = new Map(
    line.split(" ").slice(1).map((word) => word.split("=", 2) as [string, string]),
  );
  return (name) => numberIn(values.get(name) ?? "");
}

function numberIn(text: string): bigint {
  const word = text.trim();
  if (word === "max") return UNLIMITED;
  return /^[0-9]{1,20}$/.test(word) ? BigInt(word) : 0n;
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "").slice(0, LINES_MAX);
}

function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return ""; // the controller is off, or the kernel is older than the file
  }
}
