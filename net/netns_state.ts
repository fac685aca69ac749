import { netlink } from "../ffi/mod.ts";

const { IFA_F, RT_TABLE_MAIN, RTN_UNICAST, RTPROT, RT_SCOPE } = netlink;

/** What is configured in a network namespace. */
export interface NetnsState {
  readonly links: readonly netlink.Link[];
  readonly addresses: readonly netlink.Address[];
  readonly routes: readonly netlink.DumpedRoute[];
  readonly neighbours: readonly netlink.Neighbour[];
}

/** An address of a guest's interface. */
export interface GuestAddress extends netlink.IpPrefix {
  /** No route to the prefix comes with the address. */
  readonly noPrefixRoute: boolean;
}

/** A route of a guest's interface; see netlink.Route. */
export type GuestRoute = Omit<netlink.Route, "index">;

/** What one interface of the guest is set to. */
export interface GuestInterface {
  readonly name: string;
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  readonly addresses: readonly GuestAddress[];
  /** In the order in which they can be added: what is on the link first. */
  readonly routes: readonly GuestRoute[];
  readonly neighbours: readonly { readonly address: string; readonly mac: string }[];
}

/** Asks the kernel. @throws SystemError */
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
 * What a link of a network namespace is like, for the guest that takes its place. Pure.
 *
 * What the guest's kernel makes by itself is left out: link-local addresses (from the same MAC),
 * those from router advertisements, and the routes that come with addresses.
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

/** Whether somebody took away the route that the kernel made with an address, as ptp does. */
function prefixRouteIsGone(
  { address, prefixLength }: netlink.IpPrefix,
  link: netlink.Link,
  { routes }: NetnsState,
): boolean {
  // A link that is down has none, and of a single address there is none.
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

/** A gateway has to be reachable before a route goes by it. */
export function inOrder(routes: readonly GuestRoute[]): GuestRoute[] {
  const isDirect = ({ gateway }: GuestRoute) => gateway === null;
  return [...routes.filter(isDirect), ...routes.filter((route) => !isDirect(route))];
}
