import { messageOf } from "../base/mod.ts";

/**
 * Returns a seccomp filter (struct sock_filter[], linux/filter.h) under which a process cannot make
 * setuid and setgid files: chmod and the creation of a file fail with EPERM if the mode has one of
 * both bits. A directory cannot become setgid either, since a filter does not see what a path is.
 * For x86-64; system calls of other ABIs fail. Pure.
 *
 * openat2(2) takes its mode from memory, which no filter can read. It fails with ENOSYS, as in an
 * older kernel, and virtiofsd takes openat(2) instead.
 */
export function setidFilter(): Uint8Array<ArrayBuffer> {
  const program = [
    [LOAD, 0, 0, ARCH_AT],
    ...[[JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64], REFUSE],
    [LOAD, 0, 0, NUMBER_AT],
    ...[[JUMP_GREATER_EQUAL, 0, 1, X32_BIT], REFUSE],
    ...[[JUMP_EQUAL, 0, 1, OPENAT2], MISSING],
    ...MODE_ARGUMENTS.flatMap(([number, argument]) => [
      // Leaves the number loaded for the next one.
      [JUMP_EQUAL, 0, 4, number],
      ...[[LOAD, 0, 0, argumentAt(argument)], [JUMP_SET, 0, 1, SETID_BITS], REFUSE, ALLOW],
    ]),
    ...OPENS.flatMap(({ number, flags, mode }) => [
      [JUMP_EQUAL, 0, 6, number],
      // Without these flags the mode has no meaning and may be anything.
      ...[[LOAD, 0, 0, argumentAt(flags)], [JUMP_SET, 0, 3, CREATING_FLAGS]],
      ...[[LOAD, 0, 0, argumentAt(mode)], [JUMP_SET, 0, 1, SETID_BITS], REFUSE, ALLOW],
    ]),
    ALLOW,
  ];
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [index, [code, ifTrue, ifFalse, operand]] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    view.setUint16(at, code!, true);
    view.setUint8(at + 2, ifTrue!);
    view.setUint8(at + 3, ifFalse!);
    view.setUint32(at + 4, operand!, true);
  }
  return bytes;
}

/** struct sock_filter: u16 code, u8 jump if true, u8 jump if false, u32 operand. */
const INSTRUCTION_BYTES = 8;
/** Opcodes: BPF_LD|W|ABS, BPF_JMP|K with JEQ, JGE and JSET, BPF_RET|K. */
const LOAD = 0x20, JUMP_EQUAL = 0x15, JUMP_GREATER_EQUAL = 0x35, JUMP_SET = 0x45, RETURN = 0x06;
const EPERM = 1, ENOSYS = 38;
/** SECCOMP_RET_ERRNO and SECCOMP_RET_ALLOW: linux/seccomp.h */
const REFUSE = [RETURN, 0, 0, 0x0005_0000 | EPERM] as const;
const MISSING = [RETURN, 0, 0, 0x0005_0000 | ENOSYS] as const;
const ALLOW = [RETURN, 0, 0, 0x7fff_0000] as const;
/** struct seccomp_data: the call's number, the ABI, the instruction pointer, six arguments. */
const NUMBER_AT = 0, ARCH_AT = 4, ARGUMENTS_AT = 16;
const AUDIT_ARCH_X86_64 = 0xc000_003e, X32_BIT = 0x4000_0000;
const OPENAT2 = 437;
/** S_ISUID | S_ISGID */
const SETID_BITS = 0o6000;
/** O_CREAT, and the bit of O_TMPFILE that is not O_DIRECTORY's. */
const CREATING_FLAGS = 0o100 | 0o20000000;

/**
 * System calls with a mode, and which argument it is: chmod, fchmod, creat, mknod, mknodat,
 * fchmodat, fchmodat2. The kernel ignores both bits of mkdir's.
 */
const MODE_ARGUMENTS = [[90, 1], [91, 1], [85, 1], [133, 1], [259, 2], [268, 2], [452, 2]] as const;
/** open and openat. */
const OPENS = [
  { number: 2, flags: 1, mode: 2 },
  { number: 257, flags: 2, mode: 3 },
] as const;

/** Where the lower half of an argument is; modes and flags have 32 bits. */
function argumentAt(index: number): number {
  return ARGUMENTS_AT + 8 * index;
}

/**
 * Returns why this setpriv(1) cannot load a filter; null if it can. util-linux has the option since
 * 2.41. Looks for it in the program's file: to run it would take longer.
 */
export function whyNoFilter(setprivPath: string): string | null {
  try {
    const found = new TextDecoder("latin1").decode(Deno.readFileSync(setprivPath))
      .includes("seccomp-filter");
    return found ? null : `${setprivPath} has no option --seccomp-filter (util-linux 2.41)`;
  } catch (error) {
    return `${setprivPath}: ${messageOf(error)}`;
  }
}
