import { ifPresent } from "../base/mod.ts";
import { type Fd, isSystemError, netlink, type System, withNamespace } from "../ffi/mod.ts";
import { NetworkError } from "./error.ts";

/** Asked before the redirect, whose priority the kernel chooses: 0xc000. */
const GUARD_PRIORITY = 1;

/** A program that asks the next filter for frames that pass, and drops the others. */
export type Guard = readonly netlink.BpfInstruction[];

/** Returns the name of the guest's tap number `index` in a network namespace. */
export function tapName(index: number): string {
  return `qtap${index}`;
}

/**
 * Makes a tap in a network namespace. It is gone when its last descriptor is closed.
 *
 * @throws SystemError
 */
export function openTapIn(system: System, netns: Fd, index: number): Fd {
  return withNamespace(system, "net", netns, () => {
    const fd = system.openTap(tapName(index), { exclusive: true });
    try {
      // Otherwise the guest would receive the IPv6 announcements of the namespace's kernel.
      disableIpv6(tapName(index));
    } catch (error) {
      system.close(fd);
      throw error;
    }
    return fd;
  });
}

/** Opens a tap that exists. @throws SystemError */
export function openExistingTap(system: System, netns: Fd, name: string): Fd {
  return withNamespace(system, "net", netns, () => system.openTap(name));
}

/** Opens an rtnetlink socket of a network namespace, for use from any. @throws SystemError */
export function openRtnetlinkIn(system: System, netns: Fd): netlink.Rtnetlink {
  return withNamespace(system, "net", netns, () => netlink.Rtnetlink.open(system));
}

/**
 * Connects a link and a tap like a wire: each frame that one receives leaves through the other,
 * before the namespace's own IP stack sees it. tc-redirect-tap does the same.
 *
 * @param guard decides which frames of the tap are redirected; null: all.
 * @throws SystemError that names the link.
 */
export function redirectBothWays(
  rtnetlink: netlink.Rtnetlink,
  link: netlink.Link,
  tap: string,
  guard: Guard | null,
): void {
  const index = indexOf(rtnetlink, tap);
  const change = rtnetlink.change.bind(rtnetlink);
  change(netlink.setLink(index, { mtu: link.mtu }), `set MTU of ${tap} to ${link.mtu}`);
  change(netlink.setLink(index, { up: true }), `set link ${tap} up`);
  // A killed shim may have left a redirect, whose tap is gone.
  removeRedirect(rtnetlink, link);
  for (const [from, to] of [[link.index, index], [index, link.index]] as const) {
    const what = `between ${link.name} and ${tap}`;
    change(netlink.addIngressQdisc(from), `add ingress qdisc ${what}`);
    if (from === index && guard !== null) addGuard(rtnetlink, index, tap, guard);
    change(netlink.addRedirect(from, to), `redirect ${what}`);
  }
}

/** Lets a guard decide about frames of a tap that others redirect. @throws SystemError */
export function guardTap(rtnetlink: netlink.Rtnetlink, tap: string, guard: Guard): void {
  addGuard(rtnetlink, indexOf(rtnetlink, tap), tap, guard);
}

/** Returns how many frames of each tap were dropped, without taps that dropped none. */
export function droppedFrames(rtnetlink: netlink.Rtnetlink): { tap: string; frames: number }[] {
  const links = rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "list links");
  return rtnetlink.dump(netlink.dumpQdiscs(), netlink.parseQdisc, "list qdiscs")
    .filter(({ kind, drops }) => kind === "ingress" && drops > 0)
    .flatMap(({ index, drops }) =>
      links.filter((link) => link.index === index && link.kind === "tun")
        .map(({ name }) => ({ tap: name, frames: drops }))
    );
}

/**
 * Removes the redirect from a link that stays. Does nothing if there is none. @throws SystemError
 */
export function removeRedirect(rtnetlink: netlink.Rtnetlink, link: netlink.Link): void {
  try {
    rtnetlink.change(
      netlink.deleteIngressQdisc(link.index),
      `delete ingress qdisc of ${link.name}`,
    );
  } catch (error) {
    // ENODEV: the link is gone, and the redirect with it.
    if (!isSystemError(error, "ENOENT", "EINVAL", "ENODEV")) throw error;
  }
}

function addGuard(
  rtnetlink: netlink.Rtnetlink,
  index: number,
  tap: string,
  guard: Guard,
): void {
  const request = netlink.addBpfFilter(index, GUARD_PRIORITY, guard);
  try {
    rtnetlink.change(request, `add filter of ${tap}`);
  } catch (error) {
    if (!isSystemError(error, "ENOENT", "EOPNOTSUPP")) throw error;
    throw new NetworkError(
      "config",
      `the host's kernel has no BPF filters (CONFIG_NET_CLS_BPF), so what the VM sends from ${tap} ` +
        "cannot be checked; load the module cls_bpf, or set spoofing to allow",
      { cause: error },
    );
  }
}

/** Returns the index of a link; 0 if there is none. */
function indexOf(rtnetlink: netlink.Rtnetlink, wanted: string): number {
  return rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "list links")
    .find(({ name }) => name === wanted)?.index ?? 0;
}

/** Disables IPv6 on a link of this thread's network namespace, unless the kernel has no IPv6. */
function disableIpv6(link: string): void {
  ifPresent(() => Deno.writeTextFileSync(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, "1"));
}
