import {
  AF,
  ETH_P_ALL,
  FLAG,
  MESSAGE,
  NLA_F_NESTED,
  TC_ACT_STOLEN,
  TC_H,
  TC_U32_TERMINAL,
  TCA,
  TCA_ACT,
  TCA_EGRESS_REDIR,
  TCA_MIRRED_PARMS,
  TCA_STATS_QUEUE,
  TCA_U32,
} from "./constants.ts";
import {
  type NetlinkRequest,
  parseAttributes,
  readText,
  readU32,
  splitPayload,
  text,
} from "./message.ts";

/** A queueing discipline of a link. */
export interface Qdisc {
  /** Index of the link. */
  readonly index: number;
  /** "ingress", "noqueue", … */
  readonly kind: string;
  readonly parent: number;
  /** Packets that it or its filters have dropped, modulo 2^32. */
  readonly drops: number;
}

/** struct tcmsg */
const TCMSG = { size: 20, family: 0, ifindex: 4, handle: 8, parent: 12, info: 16 } as const;
/** struct tc_u32_sel, followed by one struct tc_u32_key */
const TC_U32_SEL = { size: 16 + 16, flags: 0, nkeys: 2 } as const;
/** struct tc_mirred: tc_gen (index, capab, action, refcnt, bindcnt), eaction, ifindex */
const TC_MIRRED = { size: 28, action: 8, eaction: 20, ifindex: 24 } as const;
/** Offset in struct gnet_stats_queue. */
const DROPS_AT = 8;
/** Actions of a filter are numbered from one. */
const FIRST_ACTION = 1;

/** RTM_NEWQDISC: the ingress qdisc, to which filters of received packets attach. */
export function addIngressQdisc(index: number): NetlinkRequest {
  return {
    type: MESSAGE.NEWQDISC,
    flags: FLAG.ACK | FLAG.CREATE | FLAG.EXCL,
    header: tcmsg({ index, handle: TC_H.INGRESS_HANDLE, parent: TC_H.INGRESS, info: 0 }),
    attributes: [[TCA.KIND, text("ingress")]],
  };
}

/** RTM_DELQDISC of the ingress qdisc with its filters; ENOENT or EINVAL if there is none. */
export function deleteIngressQdisc(index: number): NetlinkRequest {
  return {
    type: MESSAGE.DELQDISC,
    flags: FLAG.ACK,
    header: tcmsg({ index, handle: TC_H.INGRESS_HANDLE, parent: TC_H.INGRESS, info: 0 }),
    attributes: [],
  };
}

/**
 * RTM_NEWTFILTER: redirects every packet that link `from` receives to link `to`, hidden from the
 * rest of the network stack. A u32 filter that matches all packets, like that of tc-redirect-tap.
 */
export function addRedirect(from: number, to: number): NetlinkRequest {
  const selector = new Uint8Array(TC_U32_SEL.size);
  selector[TC_U32_SEL.flags] = TC_U32_TERMINAL;
  selector[TC_U32_SEL.nkeys] = 1; // a key of zeros, which matches any packet
  const mirred = new Uint8Array(TC_MIRRED.size);
  const view = new DataView(mirred.buffer);
  view.setUint32(TC_MIRRED.action, TC_ACT_STOLEN, true);
  view.setUint32(TC_MIRRED.eaction, TCA_EGRESS_REDIR, true);
  view.setUint32(TC_MIRRED.ifindex, to, true);
  return {
    type: MESSAGE.NEWTFILTER,
    flags: FLAG.ACK | FLAG.CREATE | FLAG.EXCL,
    header: tcmsg({
      index: from,
      handle: 0,
      parent: TC_H.INGRESS_HANDLE,
      info: networkOrder(ETH_P_ALL),
    }),
    attributes: [
      [TCA.KIND, text("u32")],
      [TCA.OPTIONS, [
        [TCA_U32.ACT, [
          [FIRST_ACTION, [
            [TCA_ACT.KIND, text("mirred")],
            [TCA_ACT.OPTIONS | NLA_F_NESTED, [[TCA_MIRRED_PARMS, mirred]]],
          ]],
        ]],
        [TCA_U32.SEL, selector],
      ]],
    ],
  };
}

/** RTM_GETQDISC of all links; `parseQdisc` reads the answers. */
export function dumpQdiscs(): NetlinkRequest {
  const header = new Uint8Array(TCMSG.size);
  return { type: MESSAGE.GETQDISC, flags: FLAG.DUMP, header, attributes: [] };
}

/** Reads RTM_NEWQDISC. @throws {NetlinkFormatError} */
export function parseQdisc(payload: Uint8Array): Qdisc {
  const { header, attributes } = splitPayload(payload, TCMSG.size);
  const stats = parseAttributes(attributes.get(TCA.STATS2) ?? new Uint8Array());
  const queue = stats.get(TCA_STATS_QUEUE);
  return {
    index: header.getInt32(TCMSG.ifindex, true),
    parent: header.getUint32(TCMSG.parent, true),
    kind: readText(attributes.get(TCA.KIND) ?? new Uint8Array()),
    drops: queue === undefined ? 0 : readU32(queue.subarray(DROPS_AT, DROPS_AT + 4)),
  };
}

/** Encodes struct tcmsg. */
export function tcmsg(
  { index, handle, parent, info }: { index: number; handle: number; parent: number; info: number },
): Uint8Array {
  const bytes = new Uint8Array(TCMSG.size);
  const view = new DataView(bytes.buffer);
  view.setUint8(TCMSG.family, AF.UNSPEC);
  view.setInt32(TCMSG.ifindex, index, true);
  view.setUint32(TCMSG.handle, handle, true);
  view.setUint32(TCMSG.parent, parent, true);
  view.setUint32(TCMSG.info, info, true);
  return bytes;
}

/** TC_H_MAKE(priority 0, protocol): the protocol is in network byte order. */
export function networkOrder(protocol: number): number {
  return (protocol & 0xff) << 8 | protocol >> 8;
}
