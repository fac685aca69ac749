/**
 * rtnetlink(7): pure functions that encode requests and parse answers, and the socket for them.
 *
 * Requests (`setLink`, `addAddress`, …) are data for {@link Rtnetlink}; `parse…` reads answers.
 */
export { AF, IFA_F, RT_SCOPE, RT_TABLE_MAIN, RTN_UNICAST, RTPROT } from "./constants.ts";
export { macBytes } from "./mac.ts";
export { ipBytes, parseIp, parseIpPrefix } from "./ip.ts";
export type { IpPrefix } from "./ip.ts";
export type { NetlinkRequest } from "./message.ts";
export { dumpLinks, parseLink, setLink } from "./link.ts";
export type { Link } from "./link.ts";
export { addAddress, dumpAddresses, parseAddress } from "./address.ts";
export type { Address } from "./address.ts";
export { addRoute, dumpRoutes, parseRoute, routeFamily } from "./route.ts";
export type { DumpedRoute, Route } from "./route.ts";
export { addNeighbour, dumpNeighbours, parseNeighbour } from "./neighbour.ts";
export type { Neighbour } from "./neighbour.ts";
export {
  addIngressQdisc,
  addRedirect,
  deleteIngressQdisc,
  dumpQdiscs,
  parseQdisc,
} from "./traffic.ts";
export { addBpfFilter, BPF_VERDICT } from "./bpf_filter.ts";
export type { BpfInstruction } from "./bpf_filter.ts";
export { Rtnetlink } from "./socket.ts";
