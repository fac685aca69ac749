import assert from "node:assert/strict";
import {
  type HostFiles,
  hostTsc,
  khzOfModelName,
  tscKhzOfCpuinfo,
  tscKhzOfKernelLog,
  tscKhzOfTimerList,
} from "./host_tsc.ts";

/** /proc/timer_list of a host with a 2.6 GHz TSC. */
const TIMER_LIST = `Tick Device: mode:     1
Broadcast device
Clock Event Device: <NULL>
tick_broadcast_mask: 0

Tick Device: mode:     1
Per CPU device: 0
Clock Event Device: lapic-deadline
 max_delta_ns:   1691556412470
 min_delta_ns:   1000
 mult:           10905190
 shift:          25
 mode:           3
`;
const GUEST_CPUINFO = "model name\t: Intel(R) Xeon(R) Processor\ncpu MHz\t\t: 2599.997\n" +
  "flags\t\t: fpu tsc hypervisor lahf_lm\n";
const METAL_CPUINFO = "model name\t: Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz\n" +
  "cpu MHz\t\t: 1200.113\nflags\t\t: fpu tsc aperfmperf\n";

const host = (files: Record<string, string>): HostFiles => ({
  readText: (path) => files[path] ?? null,
  kernelLog: () => files["log"] ?? null,
});

Deno.test("the TSC frequency follows from the deadline timer", () => {
  assert.equal(tscKhzOfTimerList(TIMER_LIST), 2_600_000);
  assert.equal(tscKhzOfTimerList(TIMER_LIST.replace("lapic-deadline", "lapic")), null);
  assert.equal(tscKhzOfTimerList(""), null);
});

Deno.test("the kernel's log: refined wins over TSC, and TSC over processor", () => {
  const processor = "6,1,65,-;tsc: Detected 2600.000 MHz processor\n";
  const tsc = "6,2,66,-;tsc: Detected 2592.000 MHz TSC\n";
  const refined = "6,9,99,-;tsc: Refined TSC clocksource calibration: 2591.999 MHz\n";
  assert.equal(tscKhzOfKernelLog(processor), 2_600_000);
  assert.equal(tscKhzOfKernelLog(processor + tsc), 2_592_000);
  assert.equal(tscKhzOfKernelLog(processor + tsc + refined), 2_591_999);
  assert.equal(tscKhzOfKernelLog("TSC deadline timer available\n"), null);
});

Deno.test("cpu MHz of /proc/cpuinfo counts in a guest only, not on bare metal", () => {
  assert.equal(tscKhzOfCpuinfo(GUEST_CPUINFO), 2_599_997);
  assert.equal(tscKhzOfCpuinfo(METAL_CPUINFO), null);
  assert.equal(khzOfModelName(METAL_CPUINFO), 2_600_000);
  assert.equal(khzOfModelName(GUEST_CPUINFO), null);
});

Deno.test("exact places come first, and implausible values are skipped", () => {
  const sys = "/sys/devices/system/cpu/cpu0/tsc_freq_khz";
  const all = {
    [sys]: "2600001\n",
    "/proc/timer_list": TIMER_LIST,
    "/proc/cpuinfo": GUEST_CPUINFO,
  };
  assert.deepEqual(hostTsc(host(all)), { khz: 2_600_001, source: sys, exact: true });
  assert.equal(hostTsc(host({ ...all, [sys]: "0\n" }))?.source, "/proc/timer_list");
  assert.deepEqual(hostTsc(host({ "/proc/cpuinfo": METAL_CPUINFO })), {
    khz: 2_600_000,
    source: "the CPU's model name",
    exact: false,
  });
  assert.equal(hostTsc(host({})), null);
});

Deno.test("hostTsc finds a plausible frequency of this host, or null", () => {
  const found = hostTsc();
  if (found !== null) assert(found.khz >= 100_000 && found.khz <= 20_000_000);
});
