import { AF, FLAG, IFF, IFLA, IFLA_INFO_KIND, MESSAGE } from "./constants.ts";
import { formatMac, macBytes } from "./mac.ts";
import {
  type Attribute,
  type NetlinkRequest,
  parseAttributes,
  readText,
  readU32,
  splitPayload,
  text,
  u32,
} from "./message.ts";

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly mtu: number;
  /** null if the link has no address of six bytes. */
  readonly mac: string | null;
  /** The device's original address, even if another is set. */
  readonly permanentMac: string | null;
  /** "veth", "bridge", "tun", "macvlan"; empty for hardware, including virtio-net. */
  readonly kind: string;
}

/** Changes to a link. An absent property stays as it is. */
export interface LinkChange {
  readonly up?: boolean;
  /** Bytes. */
  readonly mtu?: number;
  readonly mac?: string;
  /** At most 15 bytes; the link must be down. */
  readonly name?: string;
  /** Descriptor of the network namespace to move the link to. */
  readonly netnsFd?: number;
}

/** struct ifinfomsg */
const IFINFOMSG = { size: 16, family: 0, index: 4, flags: 8, change: 12 } as const;

/** RTM_NEWLINK without NLM_F_CREATE, which changes an existing link, like ip(8). */
export function setLink(index: number, change: LinkChange): NetlinkRequest {
  const { up, mtu, mac, name, netnsFd } = change;
  const attributes: Attribute[] = [];
  if (mtu !== undefined) attributes.push([IFLA.MTU, u32(mtu)]);
  if (mac !== undefined) attributes.push([IFLA.ADDRESS, macBytes(mac)]);
  if (name !== undefined) attributes.push([IFLA.IFNAME, text(name)]);
  if (netnsFd !== undefined) attributes.push([IFLA.NET_NS_FD, u32(netnsFd)]);
  const flags = up === undefined ? null : up ? IFF.UP : 0;
  return {
    type: MESSAGE.NEWLINK,
    flags: FLAG.ACK,
    header: ifinfomsg(index, flags),
    attributes,
  };
}

/** RTM_DELLINK. */
export function deleteLink(index: number): NetlinkRequest {
  const header = ifinfomsg(index, null);
  return { type: MESSAGE.DELLINK, flags: FLAG.ACK, header, attributes: [] };
}

/** RTM_GETLINK of all links; `parseLink` reads the answers. */
export function dumpLinks(): NetlinkRequest {
  const header = ifinfomsg(0, null);
  return { type: MESSAGE.GETLINK, flags: FLAG.DUMP, header, attributes: [] };
}

/** Reads RTM_NEWLINK. @throws {NetlinkFormatError} */
export function parseLink(payload: Uint8Array): Link {
  const { header, attributes } = splitPayload(payload, IFINFOMSG.size);
  const flags = header.getUint32(IFINFOMSG.flags, true);
  const mtu = attributes.get(IFLA.MTU);
  const info = attributes.get(IFLA.LINKINFO);
  const kind = info === undefined ? undefined : parseAttributes(info).get(IFLA_INFO_KIND);
  const mac = (type: number) => {
    const value = attributes.get(type);
    return value === undefined || value.length !== 6 ? null : formatMac(value);
  };
  return {
    index: header.getInt32(IFINFOMSG.index, true),
    name: readText(attributes.get(IFLA.IFNAME) ?? new Uint8Array()),
    up: (flags & IFF.UP) !== 0,
    loopback: (flags & IFF.LOOPBACK) !== 0,
    mtu: mtu === undefined ? 0 : readU32(mtu),
    mac: mac(IFLA.ADDRESS),
    permanentMac: mac(IFLA.PERM_ADDRESS),
    kind: kind === undefined ? "" : readText(kind),
  };
}

/** Encodes the header. If `flags` is null, the link's flags stay as they are. */
function ifinfomsg(index: number, flags: number | null): Uint8Array {
  const bytes = new Uint8Array(IFINFOMSG.size);
  const view = new DataView(bytes.buffer);
  view.setUint8(IFINFOMSG.family, AF.UNSPEC);
  view.setInt32(IFINFOMSG.index, index, true);
  if (flags !== null) {
    view.setUint32(IFINFOMSG.flags, flags, true);
    view.setUint32(IFINFOMSG.change, IFF.UP, true);
  }
  return bytes;
}
