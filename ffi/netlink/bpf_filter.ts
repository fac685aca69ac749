import {
  ETH_P_ALL,
  FLAG,
  MESSAGE,
  TC_H,
  TCA,
  TCA_BPF,
  TCA_BPF_FLAG_ACT_DIRECT,
} from "./constants.ts";
import { type NetlinkRequest, text, u32 } from "./message.ts";
import { networkOrder, tcmsg } from "./traffic.ts";

/** One instruction of classic BPF: struct sock_filter of linux/filter.h. */
export interface BpfInstruction {
  readonly code: number;
  /** Instructions to skip if the condition holds, and if not. */
  readonly jt: number;
  readonly jf: number;
  /** Unsigned, 32 bits. */
  readonly k: number;
}

/** What the program of a BPF filter returns: TC_ACT_* of linux/pkt_cls.h. */
export const BPF_VERDICT = {
  /** Asks the filter of the next priority (TC_ACT_UNSPEC). */
  NEXT_FILTER: 0xffff_ffff,
  /** Drops the frame, which counts as a drop of the qdisc (TC_ACT_SHOT). */
  DROP: 2,
} as const;

/** struct sock_filter */
const SOCK_FILTER = { size: 8, code: 0, jt: 2, jf: 3, k: 4 } as const;

/**
 * RTM_NEWTFILTER: a classic BPF program that decides by its result (direct-action) about every
 * packet that link `index` receives. Filters are asked in the order of their priorities, 1 first;
 * one without a priority, like `addRedirect`, gets 0xc000 from the kernel.
 */
export function addBpfFilter(
  index: number,
  priority: number,
  program: readonly BpfInstruction[],
): NetlinkRequest {
  const info = priority << 16 | networkOrder(ETH_P_ALL);
  const length = new Uint8Array(2);
  new DataView(length.buffer).setUint16(0, program.length, true);
  return {
    type: MESSAGE.NEWTFILTER,
    flags: FLAG.ACK | FLAG.CREATE | FLAG.EXCL,
    header: tcmsg({ index, handle: 0, parent: TC_H.INGRESS_HANDLE, info }),
    attributes: [
      [TCA.KIND, text("bpf")],
      [TCA.OPTIONS, [
        [TCA_BPF.OPS_LEN, length],
        [TCA_BPF.OPS, encodeProgram(program)],
        [TCA_BPF.FLAGS, u32(TCA_BPF_FLAG_ACT_DIRECT)],
      ]],
    ],
  };
}

function encodeProgram(program: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * SOCK_FILTER.size);
  const view = new DataView(bytes.buffer);
  for (const [at, { code, jt, jf, k }] of program.entries()) {
    const start = at * SOCK_FILTER.size;
    view.setUint16(start + SOCK_FILTER.code, code, true);
    view.setUint8(start + SOCK_FILTER.jt, jt);
    view.setUint8(start + SOCK_FILTER.jf, jf);
    view.setUint32(start + SOCK_FILTER.k, k, true);
  }
  return bytes;
}
