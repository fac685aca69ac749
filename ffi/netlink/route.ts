import {
  AF,
  FLAG,
  MESSAGE,
  RT_SCOPE,
  RT_TABLE_MAIN,
  RTA,
  RTAX_MTU,
  RTN_UNICAST,
  RTNH_F_ONLINK,
  RTPROT,
} from "./constants.ts";
import { familyOf, formatIp, ipBytes, type IpPrefix } from "./ip.ts";
import {
  type Attribute,
  type NetlinkRequest,
  parseAttributes,
  readU32,
  splitPayload,
  u32,
} from "./message.ts";

/** A unicast route with a single next hop. */
export interface Route {
  /** AF.INET or AF.INET6. */
  readonly family: number;
  /** null for the default route. */
  readonly destination: IpPrefix | null;
  /** null if the destination is on the link. */
  readonly gateway: string | null;
  /** Index of the outgoing link; 0 lets the kernel find it by the gateway. */
  readonly index: number;
  /** Source address; null lets the kernel choose. */
  readonly source: string | null;
  /** Priority, lower wins; 0 for the kernel's default. */
  readonly metric: number;
  /** Bytes; 0 for that of the link. */
  readonly mtu: number;
  /** Treat the gateway as on the link, whatever the addresses are. */
  readonly onlink: boolean;
}

/** A route from a dump, with properties that `addRoute` does not take. */
export interface DumpedRoute extends Route {
  readonly table: number;
  /** RTPROT: its origin. */
  readonly protocol: number;
  /** RTN: 1 unicast. */
  readonly type: number;
  /** Whether it has several next hops, which are not read. */
  readonly multipath: boolean;
}

/** struct rtmsg */
const RTMSG = {
  size: 12,
  family: 0,
  dst_len: 1,
  table: 4,
  protocol: 5,
  scope: 6,
  type: 7,
  flags: 8,
} as const;

/** RTM_NEWROUTE into the main table. */
export function addRoute(route: Route): NetlinkRequest {
  const header = new Uint8Array(RTMSG.size);
  const view = new DataView(header.buffer);
  const onLink = route.gateway === null && route.family === AF.INET;
  view.setUint8(RTMSG.family, route.family);
  view.setUint8(RTMSG.dst_len, route.destination?.prefixLength ?? 0);
  view.setUint8(RTMSG.table, RT_TABLE_MAIN);
  view.setUint8(RTMSG.protocol, RTPROT.BOOT);
  view.setUint8(RTMSG.scope, onLink ? RT_SCOPE.LINK : RT_SCOPE.UNIVERSE);
  view.setUint8(RTMSG.type, RTN_UNICAST);
  view.setUint32(RTMSG.flags, route.onlink ? RTNH_F_ONLINK : 0, true);
  const { destination, gateway, index, source, metric, mtu } = route;
  const attributes: Attribute[] = [];
  if (destination !== null) attributes.push([RTA.DST, ipBytes(destination.address)]);
  if (gateway !== null) attributes.push([RTA.GATEWAY, ipBytes(gateway)]);
  if (metric !== 0) attributes.push([RTA.PRIORITY, u32(metric)]);
  if (index !== 0) attributes.push([RTA.OIF, u32(index)]);
  if (source !== null) attributes.push([RTA.PREFSRC, ipBytes(source)]);
  if (mtu !== 0) attributes.push([RTA.METRICS, [[RTAX_MTU, u32(mtu)]]]);
  const flags = FLAG.ACK | FLAG.CREATE | FLAG.EXCL;
  return { type: MESSAGE.NEWROUTE, flags, header, attributes };
}

/** Returns the family of a route's address. @throws {TypeError} if it is not an address. */
export function routeFamily(address: string): number {
  return familyOf(ipBytes(address));
}

/** RTM_GETROUTE of all routes in all tables; `parseRoute` reads the answers. */
export function dumpRoutes(): NetlinkRequest {
  const header = new Uint8Array(RTMSG.size);
  return { type: MESSAGE.GETROUTE, flags: FLAG.DUMP, header, attributes: [] };
}

/** Reads RTM_NEWROUTE. @throws {NetlinkFormatError} */
export function parseRoute(payload: Uint8Array): DumpedRoute {
  const { header, attributes } = splitPayload(payload, RTMSG.size);
  const ip = (type: number) => {
    const value = attributes.get(type);
    return value === undefined ? null : formatIp(value);
  };
  const number = (type: number) => {
    const value = attributes.get(type);
    return value === undefined ? 0 : readU32(value);
  };
  const destination = ip(RTA.DST);
  const metrics = attributes.get(RTA.METRICS);
  const mtu = metrics === undefined ? undefined : parseAttributes(metrics).get(RTAX_MTU);
  return {
    family: header.getUint8(RTMSG.family),
    destination: destination === null
      ? null
      : { address: destination, prefixLength: header.getUint8(RTMSG.dst_len) },
    gateway: ip(RTA.GATEWAY),
    index: number(RTA.OIF),
    source: ip(RTA.PREFSRC),
    metric: number(RTA.PRIORITY),
    mtu: mtu === undefined ? 0 : readU32(mtu),
    onlink: (header.getUint32(RTMSG.flags, true) & RTNH_F_ONLINK) !== 0,
    table: number(RTA.TABLE) || header.getUint8(RTMSG.table),
    protocol: header.getUint8(RTMSG.protocol),
    type: header.getUint8(RTMSG.type),
    multipath: attributes.has(RTA.MULTIPATH),
  };
}
