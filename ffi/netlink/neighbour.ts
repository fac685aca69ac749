import { FLAG, MESSAGE, NDA, NUD_PERMANENT } from "./constants.ts";
import { familyOf, formatIp, ipBytes } from "./ip.ts";
import { formatMac, macBytes } from "./mac.ts";
import { type NetlinkRequest, splitPayload } from "./message.ts";

/** An entry of the neighbour (ARP, NDP) table. */
export interface Neighbour {
  /** Index of the link. */
  readonly index: number;
  readonly address: string;
  readonly mac: string;
}

/** struct ndmsg */
const NDMSG = { size: 12, family: 0, ifindex: 4, state: 8 } as const;

/** RTM_NEWNEIGH of a permanent entry. */
export function addNeighbour({ index, address, mac }: Neighbour): NetlinkRequest {
  const bytes = ipBytes(address);
  const header = new Uint8Array(NDMSG.size);
  const view = new DataView(header.buffer);
  view.setUint8(NDMSG.family, familyOf(bytes));
  view.setInt32(NDMSG.ifindex, index, true);
  view.setUint16(NDMSG.state, NUD_PERMANENT, true);
  return {
    type: MESSAGE.NEWNEIGH,
    flags: FLAG.ACK | FLAG.CREATE | FLAG.REPLACE,
    header,
    attributes: [[NDA.DST, bytes], [NDA.LLADDR, macBytes(mac)]],
  };
}

/** RTM_GETNEIGH of all entries; `parseNeighbour` reads the answers. */
export function dumpNeighbours(): NetlinkRequest {
  const header = new Uint8Array(NDMSG.size);
  return { type: MESSAGE.GETNEIGH, flags: FLAG.DUMP, header, attributes: [] };
}

/** Reads RTM_NEWNEIGH; null for an entry that is not permanent. @throws {NetlinkFormatError} */
export function parseNeighbour(payload: Uint8Array): Neighbour | null {
  const { header, attributes } = splitPayload(payload, NDMSG.size);
  const address = attributes.get(NDA.DST);
  const mac = attributes.get(NDA.LLADDR);
  const permanent = (header.getUint16(NDMSG.state, true) & NUD_PERMANENT) !== 0;
  if (!permanent || address === undefined || mac === undefined || mac.length !== 6) return null;
  return {
    index: header.getInt32(NDMSG.ifindex, true),
    address: formatIp(address),
    mac: formatMac(mac),
  };
}
