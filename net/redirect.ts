import { ifPresent } from "../base/mod.ts";
import { type Fd, isSystemError, netlink, type System, withNamespace } from "../ffi/mod.ts";

/** The name of the guest's tap number `index` in a network namespace. */
export function tapName(index: number): string {
  return `qtap${index}`;
}

/**
 * Makes a tap in a network namespace. It is gone when its last descriptor is closed.
 * @throws SystemError
 */
export function openTapIn(system: System, netns: Fd, index: number): Fd {
  return withNamespace(system, "net", netns, () => {
    const fd = system.openTap(tapName(index), { exclusive: true });
    try {
      // Or the guest would hear the namespace's kernel announce itself on the wire.
      disableIpv6(tapName(index));
    } catch (error) {
      system.close(fd);
      throw error;
    }
    return fd;
  });
}

/** Opens a tap that there is. @throws SystemError */
export function openExistingTap(system: System, netns: Fd, name: string): Fd {
  return withNamespace(system, "net", netns, () => system.openTap(name));
}

/** An rtnetlink socket of a network namespace, to be used from anywhere. @throws SystemError */
export function openRtnetlinkIn(system: System, netns: Fd): netlink.Rtnetlink {
  return withNamespace(system, "net", netns, () => netlink.Rtnetlink.open(system));
}

/**
 * Makes a link and a tap one wire: whatever either receives leaves by the other, before the
 * namespace's own IP stack sees it. The same as tc-redirect-tap makes.
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
  // Left by a shim that was killed, whose tap is gone.
  removeRedirect(rtnetlink, link);
  for (const [from, to] of [[link.index, index], [index, link.index]] as const) {
    const what = `between ${link.name} and ${tap}`;
    change(netlink.addIngressQdisc(from), `add ingress qdisc ${what}`);
    change(netlink.addRedirect(from, to), `redirect ${what}`);
  }
}

/** Takes the redirect off a link that stays. Nothing happens when there is none. */
export function removeRedirect(rtnetlink: netlink.Rtnetlink, link: netlink.Link): void {
  try {
    rtnetlink.change(
      netlink.deleteIngressQdisc(link.index),
      `delete ingress qdisc of ${link.name}`,
    );
  } catch (error) {
    // ENODEV: the link is gone, and all that hung on it.
    if (!isSystemError(error, "ENOENT", "EINVAL", "ENODEV")) throw error;
  }
}

/** Of a link of this thread's network namespace; a kernel without IPv6 has nothing to switch off. */
function disableIpv6(link: string): void {
  ifPresent(() => Deno.writeTextFileSync(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, "1"));
}
