import { decodeTimespec, encodeTimespec, structure, TIMESPEC } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { machine as libc } from "../libc/machine.ts";
import type { System } from "../system.ts";

/** CLOCK_*, linux/time.h */
const CLOCKS = { realtime: 0, monotonic: 1, "process-cpu": 2, boottime: 7 } as const;
/** LINUX_REBOOT_CMD_*, linux/reboot.h, as the signed int of reboot(3) */
export const REBOOT = {
  "power-off": 0x4321fedc,
  "restart": 0x01234567,
  "halt": 0xcdef0123 | 0,
} as const;

/** Machine-wide calls of {@link System}. */
export const machineCalls = {
  reboot(command) {
    checked("reboot", () => libc().reboot(REBOOT[command]));
  },
  sync() {
    libc().sync();
  },
  setHostname(name) {
    const bytes = new TextEncoder().encode(name);
    checked("sethostname", () => libc().sethostname(bytes, BigInt(bytes.length)));
  },
  setClock(unixNanoseconds) {
    const time = encodeTimespec(unixNanoseconds);
    checked("clock_settime", () => libc().clock_settime(CLOCKS.realtime, time));
  },
  clock(id) {
    const time = structure(TIMESPEC.size);
    checked("clock_gettime", () => libc().clock_gettime(CLOCKS[id], time));
    return decodeTimespec(time);
  },
} satisfies Partial<System>;
