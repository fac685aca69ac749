import { netlink } from "../ffi/mod.ts";
import { NetworkError } from "./error.ts";
import {
  type GuestInterface,
  type GuestRoute,
  inOrder,
  interfaceOf,
  type NetnsState,
} from "./netns_state.ts";
import { type CniResult, tapPairOf } from "./result.ts";

/** One interface of the guest, and its counterpart in the network namespace. */
export interface InterfacePlan {
  readonly guest: GuestInterface;
  /** The link that the guest's interface replaces. */
  readonly link: netlink.Link;
  /** Name of tc-redirect-tap's tap; null: this process makes a tap and the redirect. */
  readonly tap: string | null;
}

/**
 * Plans the guest's interface for one network from the chain's result and the state of the network
 * namespace. Pure.
 *
 * The namespace counts, because the results of plugins in use do not contain everything that they
 * set there (a gateway on the link, a permanent neighbour). The result's addresses and routes are
 * used for a link that has no address.
 *
 * @throws {NetworkError} `result` if the chain made no interface.
 */
export function planInterface(
  result: CniResult,
  state: NetnsState,
  about: { network: string; ifname: string; netns: string; containerId: string },
): InterfacePlan {
  const { network, ifname, netns, containerId } = about;
  const link = state.links.find(({ name }) => name === ifname);
  if (link === undefined || link.mac === null) {
    throw new NetworkError(
      "result",
      `network ${network} made no Ethernet interface ${ifname} in ${netns}: ` +
        "its chain needs a plugin that does, such as bridge, ptp or macvlan",
    );
  }
  const pair = tapPairOf(result, netns, containerId);
  if (pair !== null && !state.links.some(({ name }) => name === pair.tap)) {
    throw new NetworkError(
      "result",
      `network ${network}: tc-redirect-tap's tap ${pair.tap} is not in ${netns}`,
    );
  }
  const found = interfaceOf(link, state, pair?.mac ?? link.mac);
  const guest = found.addresses.length > 0 ? found : { ...found, ...addressesOf(result) };
  return { guest, link, tap: pair?.tap ?? null };
}

/**
 * Plans the interfaces of a network namespace that others set up, without loopback and tunnels.
 * Pure.
 */
export function planExisting(state: NetnsState): InterfacePlan[] {
  return state.links
    .filter(({ loopback, mac, kind }) => !loopback && mac !== null && kind !== "tun")
    .filter(({ up }) => up)
    .map((link) => ({ guest: interfaceOf(link, state, link.mac!), link, tap: null }));
}

/** Returns the addresses and routes of a result. */
function addressesOf({ ips, routes }: CniResult): Pick<GuestInterface, "addresses" | "routes"> {
  const prefixes = new Map(ips.map(({ address }) => [address, netlink.parseIpPrefix(address)!]));
  const addresses = [...prefixes.values()].map((prefix) => ({ ...prefix, noPrefixRoute: false }));
  const isIpv6 = (text: string) => text.includes(":");
  const gatewayFor = (dst: string) =>
    ips.find(({ address, gateway }) => gateway !== undefined && isIpv6(address) === isIpv6(dst))
      ?.gateway ?? null;
  const converted = routes.map(({ dst, gw, mtu, priority }): GuestRoute => {
    const destination = netlink.parseIpPrefix(dst)!;
    return {
      family: netlink.routeFamily(destination.address),
      destination: destination.prefixLength === 0 ? null : destination,
      gateway: gw ?? gatewayFor(dst),
      source: null,
      metric: priority ?? 0,
      mtu: mtu ?? 0,
      onlink: false,
    };
  });
  return { addresses, routes: inOrder(converted) };
}
