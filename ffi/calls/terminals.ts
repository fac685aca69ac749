import { O } from "../constants.ts";
import { fields, structure, WINSIZE } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { ioctls } from "../libc/ioctl.ts";
import type { Fd, System } from "../system.ts";
import { descriptorCalls } from "./descriptors.ts";

/** asm-generic/ioctls.h */
const TIOCGWINSZ = 0x5413n, TIOCSWINSZ = 0x5414n, TIOCSPTLCK = 0x40045431n, TIOCGPTPEER = 0x5441n;
const TCGETS = 0x5401n, TCSETS = 0x5402n, TCFLSH = 0x540bn, TCIFLUSH = 0n;
/** struct termios of asm-generic/termbits.h; the one of glibc is another */
const TERMIOS = { size: 36, c_iflag: 0, c_lflag: 12 } as const;

/** Terminal calls of {@link System}. */
export const terminalCalls = {
  openTerminal() {
    const master = descriptorCalls.open("/dev/ptmx", O.RDWR | O.NOCTTY | O.NONBLOCK);
    try {
      const unlocked = structure(4);
      checked("ioctl", () => ioctls().ioctl(master, TIOCSPTLCK, unlocked), "/dev/ptmx");
      const flags = BigInt(O.RDWR | O.NOCTTY | O.CLOEXEC);
      const slave = checked(
        "ioctl",
        () => ioctls().ioctl_number(master, TIOCGPTPEER, flags),
        "/dev/ptmx",
      );
      return { master, slave: slave as Fd };
    } catch (error) {
      descriptorCalls.close(master);
      throw error;
    }
  },
  makeRaw(fd) {
    const termios = structure(TERMIOS.size);
    checked("ioctl", () => ioctls().ioctl(fd, TCGETS, termios));
    const view = fields(termios);
    view.setUint32(TERMIOS.c_iflag, 0, true);
    view.setUint32(TERMIOS.c_lflag, 0, true);
    checked("ioctl", () => ioctls().ioctl(fd, TCSETS, termios));
    checked("ioctl", () => ioctls().ioctl_number(fd, TCFLSH, TCIFLUSH));
  },
  windowSize(fd) {
    const size = structure(WINSIZE.size);
    checked("ioctl", () => ioctls().ioctl(fd, TIOCGWINSZ, size));
    const view = fields(size);
    return {
      rows: view.getUint16(WINSIZE.ws_row, true),
      columns: view.getUint16(WINSIZE.ws_col, true),
    };
  },
  setWindowSize(fd, { rows, columns }) {
    const size = structure(WINSIZE.size);
    const view = fields(size);
    view.setUint16(WINSIZE.ws_row, rows, true);
    view.setUint16(WINSIZE.ws_col, columns, true);
    checked("ioctl", () => ioctls().ioctl(fd, TIOCSWINSZ, size));
  },
} satisfies Partial<System>;
