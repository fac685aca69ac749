import { quoted } from "../../base/mod.ts";
import { isSystemError, netlink, type System } from "../../ffi/mod.ts";
import { Code, type guest, RpcError } from "../../proto/mod.ts";
import { invalid } from "../base/errors.ts";

const { Rtnetlink } = netlink;
/** The loopback device has index 1 in every network namespace. */
const LOOPBACK_INDEX = 1;
const SYSCTL = /^net(\.[A-Za-z0-9_-]+)+$/;

/**
 * Configures the guest's network: loopback, then each interface like the host's CNI plugins did.
 *
 * IPv6 addresses are usable at once, without duplicate address detection (RFC 4862, 5.4): who
 * assigned them guarantees that they are unique, and link-local ones derive from the VM's MAC
 * address.
 *
 * @throws {RpcError} InvalidArgument; Internal naming the change that the kernel refused
 */
export function configureNetwork(
  host: NetworkHost,
  request: guest.ConfigureNetworkRequest,
): void {
  for (const [name, value] of Object.entries(request.sysctls)) {
    if (!SYSCTL.test(name)) throw invalid(`sysctl ${quoted(name)} is not a network sysctl`);
    host.writeSysctl(`/proc/sys/${name.replaceAll(".", "/")}`, value);
  }
  using rtnetlink = Rtnetlink.open(host.system);
  const links = request.interfaces.length === 0
    ? []
    : rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "list links");
  try {
    rtnetlink.change(netlink.setLink(LOOPBACK_INDEX, { up: true }), "set link lo up");
    for (const wanted of request.interfaces) {
      const link = links.find(({ mac, permanentMac }) =>
        (permanentMac ?? mac) === wanted.deviceMac
      );
      if (link === undefined) throw invalid(`no network device has address ${wanted.deviceMac}`);
      if (ignoresRouters(wanted, request.sysctls)) {
        // While it has its old name, because it must not be up yet.
        host.writeSysctl(`/proc/sys/net/ipv6/conf/${link.name}/accept_ra`, "0");
      }
      configureInterface(host, rtnetlink, link, wanted);
    }
  } catch (error) {
    if (error instanceof TypeError) throw invalid(error.message);
    if (!isSystemError(error)) throw error;
    throw new RpcError(Code.Internal, `network: ${error.message}`);
  }
}

/** The seam to the system; tests have their own. */
export interface NetworkHost {
  readonly system: System;
  /** Writes a file below /proc/sys. */
  readonly writeSysctl: (path: string, value: string) => void;
}

/**
 * Returns whether an interface ignores router advertisements, which any VM of its network may send.
 * One without addresses may need them (SLAAC), and the specification may ask for them.
 */
function ignoresRouters(
  { name, addresses }: guest.NetworkInterface,
  sysctls: guest.ConfigureNetworkRequest["sysctls"],
): boolean {
  return addresses.length > 0 && sysctls[`net.ipv6.conf.${name}.accept_ra`] === undefined;
}

function configureInterface(
  { writeSysctl }: NetworkHost,
  rtnetlink: netlink.Rtnetlink,
  { index, name: deviceName }: netlink.Link,
  wanted: guest.NetworkInterface,
): void {
  const { name, mac, mtu } = wanted;
  const change = (request: netlink.NetlinkRequest, what: string) =>
    rtnetlink.change(request, `${what} of ${name}`);
  if (name !== deviceName) change(netlink.setLink(index, { name }), "set name");
  change(netlink.setLink(index, { mac, mtu }), `set MAC ${mac} and MTU ${mtu}`);
  writeSysctl(`/proc/sys/net/ipv6/conf/${name}/accept_dad`, "0");
  change(netlink.setLink(index, { up: true }), "set up");
  for (const { address, prefixLength, noPrefixRoute } of wanted.addresses) {
    const flags = noPrefixRoute ? netlink.IFA_F.NOPREFIXROUTE : 0;
    const request = netlink.addAddress(index, { address, prefixLength }, flags);
    change(request, `add address ${address}/${prefixLength}`);
  }
  // Before the routes: a gateway may be reachable only through its entry here.
  for (const { address, mac } of wanted.neighbours) {
    change(netlink.addNeighbour({ index, address, mac }), `add neighbour ${address}`);
  }
  for (const route of wanted.routes) {
    const to = route.destination === ""
      ? "default route"
      : `route to ${route.destination}/${route.prefixLength}`;
    change(netlink.addRoute(routeOf(route, index)), `add ${to}`);
  }
}

function routeOf(route: guest.NetworkRoute, index: number): netlink.Route {
  const { destination, prefixLength, gateway, source, metric, mtu, onlink, ipv6 } = route;
  return {
    family: ipv6 ? netlink.AF.INET6 : netlink.AF.INET,
    destination: destination === "" ? null : { address: destination, prefixLength },
    gateway: gateway === "" ? null : gateway,
    index,
    source: source === "" ? null : source,
    metric,
    mtu,
    onlink,
  };
}
