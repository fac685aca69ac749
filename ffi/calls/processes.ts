import { PRCTL } from "../constants.ts";
import { fields, SIGINFO, structure } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { processes as libc, SYS_pidfd_open, SYS_pidfd_send_signal } from "../libc/processes.ts";
import type { Fd, Pid, System } from "../system.ts";
import { machineCalls } from "./machine.ts";
import { spawn } from "./spawn.ts";

const P_ALL = 0, P_PID = 1;
const WNOHANG = 1, WEXITED = 4, WNOWAIT = 0x01000000;
/** si_code of an exit: si_status is the exit code. Otherwise (killed, dumped) it is a signal. */
const CLD_EXITED = 1;

/** Process and namespace calls of {@link System}. */
export const processCalls = {
  setChildSubreaper(on) {
    prctl(PRCTL.SET_CHILD_SUBREAPER, on ? 1 : 0);
  },
  setParentDeathSignal(signal) {
    prctl(PRCTL.SET_PDEATHSIG, signal);
  },
  spawn,
  waitChild(which, { peek = false } = {}) {
    // waitid(2) does not write if no child has exited: si_pid stays 0.
    const info = structure(SIGINFO.size);
    const flags = WEXITED | WNOHANG | (peek ? WNOWAIT : 0);
    const [kind, id] = which === "any" ? [P_ALL, 0] : [P_PID, which];
    checked("waitid", () => libc().waitid(kind, id, info, flags));
    const view = fields(info);
    const pid = view.getInt32(SIGINFO.si_pid, true) as Pid;
    if (pid === 0) return null;
    const status = view.getInt32(SIGINFO.si_status, true);
    const signal = view.getInt32(SIGINFO.si_code, true) === CLD_EXITED ? null : status;
    const code = signal === null ? status : 128 + signal;
    return { pid, code, signal, at: machineCalls.clock("realtime") };
  },
  pidfdOpen(pid) {
    const number = BigInt(SYS_pidfd_open);
    return checked("pidfd_open", () => Number(libc().pidfd_open(number, pid, 0))) as Fd;
  },
  pidfdSendSignal(fd, signal) {
    const number = BigInt(SYS_pidfd_send_signal);
    checked(
      "pidfd_send_signal",
      () => Number(libc().pidfd_send_signal(number, fd, signal, null, 0)),
    );
  },
  kill(pid, signal) {
    checked("kill", () => libc().kill(pid, signal));
  },
  getpid() {
    return libc().getpid() as Pid;
  },
  setns(fd, type) {
    checked("setns", () => libc().setns(fd, type));
  },
  unshare(flags) {
    checked("unshare", () => libc().unshare(flags));
  },
} satisfies Partial<System>;

function prctl(option: number, argument: number): void {
  checked("prctl", () => libc().prctl(option, BigInt(argument), 0n, 0n, 0n));
}
