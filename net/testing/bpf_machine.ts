import assert from "node:assert/strict";
import type { netlink } from "../../ffi/mod.ts";
import { BPF, VLAN_TAG_PRESENT } from "../classic_bpf.ts";

/** Result of a load behind the end of a frame, with which the kernel ends a program. */
export const OUT_OF_FRAME = 0;

/**
 * Runs a classic BPF program over a frame, as Documentation/networking/filter.rst describes it.
 *
 * @returns the program's result.
 */
export function runBpf(
  program: readonly netlink.BpfInstruction[],
  frame: Uint8Array,
  isTagged = false,
): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const slots = new Uint32Array(16);
  let [a, x] = [0, 0];
  const load = (bytes: number, at: number): number => {
    if (bytes === 4) return view.getUint32(at);
    return bytes === 2 ? view.getUint16(at) : view.getUint8(at);
  };
  const sizeOf = (code: number) => (code & 0x18) === 0 ? 4 : (code & 0x18) === 0x08 ? 2 : 1;
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at]!;
    try {
      if (code === BPF.LOAD_AT[4] && k === VLAN_TAG_PRESENT) a = Number(isTagged);
      else if (Object.values(BPF.LOAD_AT).some((one) => one === code)) a = load(sizeOf(code), k);
      else if (Object.values(BPF.LOAD_BEHIND_X).some((one) => one === code)) {
        a = load(sizeOf(code), x + k);
      } else if (code === BPF.X_FROM_IPV4_SIZE) x = (load(1, k) & 0xf) * 4;
      else if (code === BPF.LOAD_LENGTH) a = frame.length;
      else if (code === BPF.LOAD_CONSTANT) a = k;
      else if (code === BPF.LOAD_SLOT) a = slots[k]!;
      else if (code === BPF.STORE_SLOT) slots[k] = a;
      else if (code === BPF.ADD) a = (a + k) >>> 0;
      else if (code === BPF.ADD_X) a = (a + x) >>> 0;
      else if (code === BPF.SUBTRACT) a = (a - k) >>> 0;
      else if (code === BPF.AND) a = (a & k) >>> 0;
      else if (code === BPF.SHIFT_LEFT) a = (a << k) >>> 0;
      else if (code === BPF.A_TO_X) x = a;
      else if (code === BPF.JUMP) at += k;
      else if (code === BPF.IF_EQUAL) at += a === k ? jt : jf;
      else if (code === BPF.IF_AT_LEAST) at += a >= k ? jt : jf;
      else if (code === BPF.IF_AT_LEAST_X) at += a >= x ? jt : jf;
      else if (code === BPF.RETURN) return k;
      else assert.fail(`instruction ${at} has the unknown code ${code}`);
    } catch (error) {
      if (error instanceof RangeError) return OUT_OF_FRAME;
      throw error;
    }
  }
  assert.fail("the program does not return");
}
