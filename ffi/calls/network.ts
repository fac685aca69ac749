import { O } from "../constants.ts";
import { fields, IFREQ, structure } from "../layouts.ts";
import { checked } from "../libc/errno.ts";
import { ioctls } from "../libc/ioctl.ts";
import { sockets as libc } from "../libc/sockets.ts";
import type { Fd, System } from "../system.ts";
import { SystemError } from "../system_error.ts";
import { descriptorCalls } from "./descriptors.ts";

const AF_NETLINK = 16, NETLINK_ROUTE = 0;
const SOCK_RAW = 3, SOCK_NONBLOCK = 0o4000, SOCK_CLOEXEC = 0o2000000;
const SOL_NETLINK = 270, NETLINK_EXT_ACK = 11;

const TUN_DEVICE = "/dev/net/tun";
/** linux/if_tun.h */
const IFF_TAP = 0x2, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000, IFF_TUN_EXCL = 0x8000;
const TUNSETIFF = 0x400454can;
const TUNSETPERSIST = 0x400454cbn;
const TUNSETOWNER = 0x400454ccn;
const TUNSETOFFLOAD = 0x400454d0n;
const TUNSETVNETHDRSZ = 0x400454d8n;
/** IFNAMSIZ without the NUL. */
const NAME_BYTES_MAX = 15;

/** Network calls of {@link System}. */
export const networkCalls = {
  openRtnetlink() {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const fd = checked("socket", () => libc().socket(AF_NETLINK, type, NETLINK_ROUTE)) as Fd;
    return prepared(fd, () => {
      const on = structure(4);
      fields(on).setInt32(0, 1, true);
      checked("setsockopt", () => libc().setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, on, 4));
    });
  },
  openTap(name, options = {}) {
    const { exclusive = false, persist, owner, vnetHeaderBytes, offloads } = options;
    const text = new TextEncoder().encode(name);
    if (text.length > NAME_BYTES_MAX) {
      throw new SystemError("ioctl TUNSETIFF", "ENAMETOOLONG", { path: name });
    }
    const request = structure(IFREQ.size);
    request.set(text, IFREQ.ifr_name);
    const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (exclusive ? IFF_TUN_EXCL : 0);
    fields(request).setUint16(IFREQ.ifr_flags, flags, true);
    const fd = descriptorCalls.open(TUN_DEVICE, O.RDWR | O.NONBLOCK);
    return prepared(fd, () => {
      checked("ioctl TUNSETIFF", () => ioctls().ioctl(fd, TUNSETIFF, request), name);
      if (vnetHeaderBytes !== undefined) {
        const size = structure(4);
        fields(size).setInt32(0, vnetHeaderBytes, true);
        checked("ioctl TUNSETVNETHDRSZ", () => ioctls().ioctl(fd, TUNSETVNETHDRSZ, size), name);
      }
      const set = (call: string, number: bigint, value: number | undefined) => {
        if (value === undefined) return;
        checked(`ioctl ${call}`, () => ioctls().ioctl_number(fd, number, BigInt(value)), name);
      };
      set("TUNSETOFFLOAD", TUNSETOFFLOAD, offloads);
      set("TUNSETOWNER", TUNSETOWNER, owner);
      set("TUNSETPERSIST", TUNSETPERSIST, persist === undefined ? undefined : persist ? 1 : 0);
    });
  },
} satisfies Partial<System>;

/** Runs `work` on a new descriptor, and closes it if that fails. */
function prepared(fd: Fd, work: () => void): Fd {
  try {
    work();
    return fd;
  } catch (error) {
    descriptorCalls.close(fd);
    throw error;
  }
}
