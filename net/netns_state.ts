import { netlink } from "../ffi/mod.ts";

const { IFA_F, RT_TABLE_MAIN, RTN_UNICAST, RTPROT, RT_SCOPE } = netlink;

/** The configuration of a network namespace. */
export interface NetnsState {
  readonly links: readonly netlink.Link[];
  readonly addresses: readonly netlink.Address[];
  readonly routes: readonly netlink.DumpedRoute[];
  readonly neighbours: readonly netlink.Neighbour[];
}

/** An address of a guest's interface. */
export interface GuestAddress extends netlink.IpPrefix {
  /** Whether the kernel must not add a route to the prefix with the address. */
  readonly noPrefixRoute: boolean;
}

/** A route of a guest's interface; see netlink.Route. */
export type GuestRoute = Omit<netlink.Route, "index">;

/** Settings of one interface of the guest. */
export interface GuestInterface {
  readonly name: string;
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  readonly addresses: readonly GuestAddress[];
  /** In an order in which they can be added: routes on the link first. */
  readonly routes: readonly GuestRoute[];
  readonly neighbours: readonly { readonly address: string; readonly mac: string }[];
}

/** Reads it from the kernel. @throws SystemError */
export function readNetns(rtnetlink: netlink.Rtnetlink): NetnsState {
  const dump = rtnetlink.dump.bind(rtnetlink);
  return {
    links: dump(netlink.dumpLinks(), netlink.parseLink, "list links"),
    addresses: dump(netlink.dumpAddresses(), netlink.parseAddress, "list addresses"),
    routes: dump(netlink.dumpRoutes(), netlink.parseRoute, "list routes"),
    neighbours: dump(netlink.dumpNeighbours(), netlink.parseNeighbour, "list neighbours")
      .filter((one) => one !== null),
  };
}

/**
 * Returns the settings of a link of a network namespace, for the guest's interface that replaces
 * it. Pure.
 *
 * Leaves out what the guest's kernel adds by itself: link-local addresses (from the same MAC
 * address), addresses from router advertisements, and the routes that come with addresses.
 */
export function interfaceOf(link: netlink.Link, state: NetnsState, mac: string): GuestInterface {
  const addresses = state.addresses
    .filter(({ index, flags, scope }) =>
      index === link.index && scope !== RT_SCOPE.LINK && (flags & IFA_F.PERMANENT) !== 0
    )
    .map((address) => ({
      address: address.address,
      prefixLength: address.prefixLength,
      noPrefixRoute: (address.flags & IFA_F.NOPREFIXROUTE) !== 0 ||
        prefixRouteIsGone(address, link, state),
    }));
  const routes = state.routes
    .filter((route) =>
      route.index === link.index && route.table === RT_TABLE_MAIN && route.type === RTN_UNICAST &&
      route.protocol !== RTPROT.KERNEL && route.protocol !== RTPROT.RA && !route.multipath
    )
    .map(({ family, destination, gateway, source, metric, mtu, onlink }) => ({
      family,
      destination,
      gateway,
      source,
      metric,
      mtu,
      onlink,
    }));
  return {
    name: link.name,
    mac,
    mtu: link.mtu,
    addresses,
    routes: inOrder(routes),
    neighbours: state.neighbours.filter(({ index }) => index === link.index)
      .map(({ address, mac }) => ({ address, mac })),
  };
}

/** Returns whether the route that the kernel added with an address was removed, as ptp does. */
function prefixRouteIsGone(
  { address, prefixLength }: netlink.IpPrefix,
  link: netlink.Link,
  { routes }: NetnsState,
): boolean {
  // The kernel adds none on a link that is down, and none for a single address.
  if (!link.up || prefixLength === netlink.ipBytes(address).length * 8) return false;
  return !routes.some(({ index, protocol, destination }) =>
    index === link.index && protocol === RTPROT.KERNEL &&
    destination?.prefixLength === prefixLength && isWithin(address, destination)
  );
}

function isWithin(address: string, { address: prefix, prefixLength }: netlink.IpPrefix): boolean {
  const [bytes, others] = [netlink.ipBytes(address), netlink.ipBytes(prefix)];
  return bytes.length === others.length && bytes.every((byte, at) => {
    const bits = Math.min(Math.max(prefixLength - at * 8, 0), 8);
    return (byte ^ others[at]!) >> (8 - bits) === 0;
  });
}

/** Sorts routes on the link first: a gateway must be reachable before a route through it. Pure. */
export function inOrder(routes: readonly GuestRoute[]): GuestRoute[] {
  const isDirect = ({ gateway }: GuestRoute) => gateway === null;
  return [...routes.filter(isDirect), ...routes.filter((route) => !isDirect(route))];
}
