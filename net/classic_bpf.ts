import type { netlink } from "../ffi/mod.ts";

/** Opcodes of classic BPF, from linux/bpf_common.h and linux/filter.h. */
export const BPF = {
  LOAD_AT: { 4: 0x20, 2: 0x28, 1: 0x30 },
  LOAD_BEHIND_X: { 4: 0x40, 2: 0x48, 1: 0x50 },
  LOAD_LENGTH: 0x80,
  LOAD_SLOT: 0x60,
  LOAD_CONSTANT: 0x00,
  /** X = 4 * (byte & 0xf): the size of an IPv4 header by its first byte. */
  X_FROM_IPV4_SIZE: 0xb1,
  STORE_SLOT: 0x02,
  ADD: 0x04,
  ADD_X: 0x0c,
  SUBTRACT: 0x14,
  AND: 0x54,
  SHIFT_LEFT: 0x64,
  A_TO_X: 0x07,
  JUMP: 0x05,
  IF_EQUAL: 0x15,
  IF_AT_LEAST: 0x35,
  IF_AT_LEAST_X: 0x3d,
  RETURN: 0x06,
} as const;

/** SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT: loads whether a frame came with a VLAN tag. */
export const VLAN_TAG_PRESENT = 0xffff_f000 + 48;

type Condition = "IF_EQUAL" | "IF_AT_LEAST" | "IF_AT_LEAST_X";
type Calculation = "ADD" | "ADD_X" | "SUBTRACT" | "AND" | "SHIFT_LEFT";

/**
 * Assembles a program of classic BPF: one accumulator A, one index register X, 16 memory slots,
 * jumps forward to labels.
 */
export class BpfAssembler {
  readonly #instructions: (netlink.BpfInstruction & { readonly to?: string })[] = [];
  readonly #labels = new Map<string, number>();
  #lastLabel = 0;

  /** Returns a label that is used nowhere else. */
  newLabel(): string {
    return `${++this.#lastLabel}`;
  }

  /** Defines a label here. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} is defined twice`);
    this.#labels.set(name, this.#instructions.length);
    return this;
  }

  /** A = `bytes` bytes at `offset`, in network byte order. */
  load(bytes: 1 | 2 | 4, offset: number): this {
    return this.#add(BPF.LOAD_AT[bytes], offset);
  }

  /** A = `bytes` bytes at X + `offset`. */
  loadBehindX(bytes: 1 | 2 | 4, offset: number): this {
    return this.#add(BPF.LOAD_BEHIND_X[bytes], offset);
  }

  /** A = the length of the frame. */
  loadLength(): this {
    return this.#add(BPF.LOAD_LENGTH, 0);
  }

  loadConstant(value: number): this {
    return this.#add(BPF.LOAD_CONSTANT, value);
  }

  loadSlot(slot: number): this {
    return this.#add(BPF.LOAD_SLOT, slot);
  }

  storeSlot(slot: number): this {
    return this.#add(BPF.STORE_SLOT, slot);
  }

  /** X = the size of the IPv4 header at `offset`. */
  ipv4SizeToX(offset: number): this {
    return this.#add(BPF.X_FROM_IPV4_SIZE, offset);
  }

  /** X = A. */
  copyToX(): this {
    return this.#add(BPF.A_TO_X, 0);
  }

  calculate(what: Calculation, value = 0): this {
    return this.#add(BPF[what], value);
  }

  jump(to: string): this {
    this.#instructions.push({ code: BPF.JUMP, jt: 0, jf: 0, k: 0, to });
    return this;
  }

  /** Jumps if A meets the condition, and goes on otherwise. */
  jumpIf(condition: Condition, value: number, to: string): this {
    return this.#add(BPF[condition], value, { jt: 0, jf: 1 }).jump(to);
  }

  /** Jumps unless A meets the condition, and goes on otherwise. */
  jumpUnless(condition: Condition, value: number, to: string): this {
    return this.#add(BPF[condition], value, { jt: 1, jf: 0 }).jump(to);
  }

  return(value: number): this {
    return this.#add(BPF.RETURN, value);
  }

  /** Returns the program. @throws {Error} for a label that is not defined, or a jump backward. */
  assemble(): netlink.BpfInstruction[] {
    return this.#instructions.map(({ to, code, jt, jf, k }, at) => {
      if (to === undefined) return { code, jt, jf, k };
      const target = this.#labels.get(to) ?? -1;
      if (target <= at) throw new Error(`label ${to} is not defined after its jump`);
      return { code, jt, jf, k: target - at - 1 };
    });
  }

  #add(code: number, k: number, { jt, jf } = { jt: 0, jf: 0 }): this {
    this.#instructions.push({ code, jt, jf, k });
    return this;
  }
}
