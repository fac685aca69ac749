import { type Fd, isSystemError, O, type System, system as realSystem } from "../ffi/mod.ts";

/** The frequency of the host's time stamp counter, which a guest under TCG reads directly. */
export interface HostTsc {
  readonly khz: number;
  /** Where it was found, for the log. */
  readonly source: string;
  /**
   * Whether the host's kernel keeps time by this value. If not, it is the CPU's nominal frequency,
   * and the guest's clock may drift by up to a percent.
   */
  readonly exact: boolean;
}

/** Files of a host; tests pass their own. null: absent, or not readable. */
export interface HostFiles {
  readText(path: string): string | null;
  /** Returns the kernel's log from the boot on. */
  kernelLog(): string | null;
}

/** Limit for /proc/timer_list, long on big hosts. The first CPU's clock events come early in it. */
const TIMER_LIST_BYTES_MAX = 4 * 1024 * 1024;
const KERNEL_LOG_RECORDS_MAX = 100_000;
const KERNEL_LOG_RECORD_BYTES_MAX = 8192;

/**
 * Looks for the TSC frequency, first in the places that need the fewest privileges and keep it
 * longest.
 *
 * @returns null if it was not found. The guest must measure it then, which sometimes fails under
 *   load.
 */
export function hostTsc(files: HostFiles = hostFiles()): HostTsc | null {
  const exact: [string, () => number | null][] = [
    [
      "/sys/devices/system/cpu/cpu0/tsc_freq_khz",
      () => wholeNumber(files.readText("/sys/devices/system/cpu/cpu0/tsc_freq_khz")),
    ],
    ["/proc/timer_list", () => tscKhzOfTimerList(files.readText("/proc/timer_list") ?? "")],
    ["/dev/kmsg", () => tscKhzOfKernelLog(files.kernelLog() ?? "")],
  ];
  const nominal: [string, () => number | null][] = [
    ["/proc/cpuinfo", () => tscKhzOfCpuinfo(files.readText("/proc/cpuinfo") ?? "")],
    [
      "/sys/devices/system/cpu/cpu0/cpufreq/base_frequency",
      () => wholeNumber(files.readText("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency")),
    ],
    [
      "/sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq",
      () => {
        const mhz = wholeNumber(
          files.readText("/sys/devices/system/cpu/cpu0/acpi_cppc/nominal_freq"),
        );
        return mhz === null ? null : mhz * 1000;
      },
    ],
    ["the CPU's model name", () => khzOfModelName(files.readText("/proc/cpuinfo") ?? "")],
  ];
  for (const [places, isExact] of [[exact, true], [nominal, false]] as const) {
    for (const [source, find] of places) {
      const khz = find();
      if (khz !== null && isPlausible(khz)) return { khz, source, exact: isExact };
    }
  }
  return null;
}

/**
 * Reads it from /proc/timer_list. Pure. The lapic-deadline clock event counts the TSC divided by 8
 * (arch/x86/kernel/apic/apic.c, TSC_DIVISOR), and mult/2^shift is its ticks per nanosecond.
 */
export function tscKhzOfTimerList(text: string): number | null {
  const event =
    /^Clock Event Device: lapic-deadline\n[\s\S]{0,200}?^ mult: +(\d+)\n shift: +(\d+)$/m
      .exec(text);
  if (event === null) return null;
  return Math.round(Number(event[1]) / 2 ** Number(event[2]) * 1e6 * 8);
}

/**
 * Reads it from the kernel's log: the refined value if there is one, else the detected one. Pure.
 */
export function tscKhzOfKernelLog(text: string): number | null {
  const refined = text.match(/tsc: Refined TSC clocksource calibration: (\d+)\.(\d{3}) MHz/);
  const detected = [...text.matchAll(/tsc: Detected (\d+)\.(\d{3}) MHz (TSC|processor)/g)];
  // "processor" is the core's clock; a line that ends in "TSC" follows if the two differ.
  const found = refined ?? detected.find((one) => one[3] === "TSC") ?? detected[0];
  return found === undefined ? null : Number(found[1]) * 1000 + Number(found[2]);
}

/**
 * Reads it from /proc/cpuinfo. Pure. In a guest, "cpu MHz" is the measured TSC frequency; on bare
 * metal it is the momentary core clock, and the result is null.
 */
export function tscKhzOfCpuinfo(text: string): number | null {
  if (!/^flags\s*:.* hypervisor( |$)/m.test(text) || / aperfmperf( |$)/m.test(text)) return null;
  const mhz = /^cpu MHz\s*: (\d+(?:\.\d+)?)$/m.exec(text)?.[1];
  return mhz === undefined ? null : Math.round(Number(mhz) * 1000);
}

/** Reads it from a model name such as "Intel(R) Xeon(R) CPU @ 2.60GHz". Pure. */
export function khzOfModelName(text: string): number | null {
  const ghz = /^model name\s*:.*@ *(\d+(?:\.\d+)?)GHz/m.exec(text)?.[1];
  return ghz === undefined ? null : Math.round(Number(ghz) * 1e6);
}

function isPlausible(khz: number): boolean {
  return khz >= 100_000 && khz <= 20_000_000;
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,12}\s*$/.test(text) ? Number(text) : null;
}

function hostFiles(system: System = realSystem): HostFiles {
  return {
    readText: (path) => {
      try {
        return readBounded(path, TIMER_LIST_BYTES_MAX);
      } catch {
        return null;
      }
    },
    kernelLog: () => {
      try {
        return readKernelLog(system);
      } catch {
        return null;
      }
    },
  };
}

function readBounded(path: string, max: number): string {
  using file = Deno.openSync(path);
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(64 * 1024);
  let text = "";
  while (text.length < max) {
    const count = file.readSync(chunk);
    if (count === null || count === 0) break;
    text += decoder.decode(chunk.subarray(0, count), { stream: true });
    if (path === "/proc/timer_list" && tscKhzOfTimerList(text) !== null) break;
  }
  return text;
}

/** Each read(2) of /dev/kmsg returns one record; null is the end, EPIPE means some were lost. */
function readKernelLog(system: System): string {
  const fd: Fd = system.open("/dev/kmsg", O.RDONLY | O.NONBLOCK);
  try {
    const record = new Uint8Array(KERNEL_LOG_RECORD_BYTES_MAX);
    const decoder = new TextDecoder();
    const lines: string[] = [];
    for (let index = 0; index < KERNEL_LOG_RECORDS_MAX; index++) {
      try {
        const count = system.read(fd, record);
        if (count === null || count === 0) break;
        const line = decoder.decode(record.subarray(0, count));
        if (line.includes("tsc: ")) lines.push(line);
      } catch (error) {
        if (!isSystemError(error, "EPIPE")) throw error;
      }
    }
    return lines.join("");
  } finally {
    system.close(fd);
  }
}
