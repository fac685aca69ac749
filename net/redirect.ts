import { ifPresent } from "../base/mod.ts";
import { type Fd, isSystemError, netlink, type System, withNamespace } from "../ffi/mod.ts";

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
 * @throws SystemError that names the link.
 */
export function redirectBothWays(
  rtnetlink: netlink.Rtnetlink,
  link: netlink.Link,
  tap: string,
): void {
  const { index } = rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "list links")
    .find(({ name }) => name === tap) ?? { index: 0 };
  const change = rtnetlink.change.bind(rtnetlink);
  change(netlink.setLink(index, { mtu: link.mtu }), `set MTU of ${tap} to ${link.mtu}`);
  change(netlink.setLink(index, { up: true }), `set link ${tap} up`);
  // A killed shim may have left a redirect, whose tap is gone.
  removeRedirect(rtnetlink, link);
  for (const [from, to] of [[link.index, index], [index, link.index]] as const) {
    const what = `between ${link.name} and ${tap}`;
    change(netlink.addIngressQdisc(from), `add ingress qdisc ${what}`);
    change(netlink.addRedirect(from, to), `redirect ${what}`);
  }
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

/** Disables IPv6 on a link of this thread's network namespace, unless the kernel has no IPv6. */
function disableIpv6(link: string): void {
  ifPresent(() => Deno.writeTextFileSync(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, "1"));
}
