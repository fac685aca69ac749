import { AF, FLAG, IFA, IFA_F, MESSAGE } from "./constants.ts";
import { NetlinkFormatError } from "./error.ts";
import { familyOf, formatIp, ipBytes, type IpPrefix } from "./ip.ts";
import { type NetlinkRequest, readU32, splitPayload, u32 } from "./message.ts";

/** An address of a link. */
export interface Address extends IpPrefix {
  /** Index of the link. */
  readonly index: number;
  /** IFA_F bits. */
  readonly flags: number;
  /** RT_SCOPE: 0 global, 253 link. */
  readonly scope: number;
}

/** struct ifaddrmsg */
const IFADDRMSG = { size: 8, family: 0, prefixlen: 1, flags: 2, scope: 3, index: 4 } as const;

/**
 * RTM_NEWADDR. IPv6 addresses skip duplicate address detection (RFC 4862, 5.4): whoever assigned
 * the address guarantees that it is unique, and waiting would cost a second.
 *
 * @param flags additional IFA_F bits, such as NOPREFIXROUTE.
 */
export function addAddress(
  index: number,
  { address, prefixLength }: IpPrefix,
  flags = 0,
): NetlinkRequest {
  const bytes = ipBytes(address);
  const family = familyOf(bytes);
  const all = flags | (family === AF.INET6 ? IFA_F.NODAD : 0);
  const header = new Uint8Array(IFADDRMSG.size);
  const view = new DataView(header.buffer);
  view.setUint8(IFADDRMSG.family, family);
  view.setUint8(IFADDRMSG.prefixlen, prefixLength);
  view.setUint8(IFADDRMSG.flags, all > 0xff ? 0 : all);
  view.setUint32(IFADDRMSG.index, index, true);
  return {
    type: MESSAGE.NEWADDR,
    flags: FLAG.ACK | FLAG.CREATE | FLAG.EXCL,
    header,
    attributes: [
      [IFA.LOCAL, bytes],
      // The header has room for the lowest eight bits only.
      ...(all > 0xff ? [[IFA.FLAGS, u32(all)] as const] : []),
      [IFA.ADDRESS, bytes],
    ],
  };
}

/** RTM_GETADDR of all addresses; `parseAddress` reads the answers. */
export function dumpAddresses(): NetlinkRequest {
  return {
    type: MESSAGE.GETADDR,
    flags: FLAG.DUMP,
    header: new Uint8Array(IFADDRMSG.size),
    attributes: [],
  };
}

/** Reads RTM_NEWADDR. @throws {NetlinkFormatError} */
export function parseAddress(payload: Uint8Array): Address {
  const { header, attributes } = splitPayload(payload, IFADDRMSG.size);
  // On a point-to-point link ADDRESS is that of the peer.
  const bytes = attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS);
  if (bytes === undefined) throw new NetlinkFormatError("address message has no address");
  const flags = attributes.get(IFA.FLAGS);
  return {
    index: header.getUint32(IFADDRMSG.index, true),
    address: formatIp(bytes),
    prefixLength: header.getUint8(IFADDRMSG.prefixlen),
    flags: flags === undefined ? header.getUint8(IFADDRMSG.flags) : readU32(flags),
    scope: header.getUint8(IFADDRMSG.scope),
  };
}
