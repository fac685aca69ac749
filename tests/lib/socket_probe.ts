/**
 * A program that makes sockets in every way that a system call can, for containers of any image:
 * busybox knows no vsock. Its machine code stands here.
 *
 * @module
 */

/** Bits of its exit status: the ways that succeed. */
export const WAYS = {
  vsock: 1 << 0,
  /** With a bit above those that the kernel reads the family from. */
  vsockDirty: 1 << 1,
  /** As 32-bit programs do. */
  vsock32: 1 << 2,
  vsockSocketcall: 1 << 3,
  ioUring: 1 << 4,
  /** By the x32 ABI. */
  vsockX32: 1 << 5,
  inet32: 1 << 6,
  inet: 1 << 7,
} as const;

const AF_INET = 2, AF_VSOCK = 40, SOCK_STREAM = 1;
const SYS = { exit: 60, socket: 41, ioUringSetup: 425, x32Socket: 0x4000_0000 + 41 };
const SYS_32 = { socket: 359, socketcall: 102 };
/** Subcall of socketcall(2). */
const SYS_SOCKET = 1;
const BASE = 0x40_0000, HEADER_BYTES = 64 + 56, MEMORY_BYTES = 0x1000;
/** Arguments of socketcall(2), and struct io_uring_params: behind the code. */
const ARGUMENTS_AT = 0x800, PARAMETERS_AT = 0x900;

/** Returns the program, a static ELF file. */
export function socketProbe(): Uint8Array {
  const code = [
    ...[0x45, 0x31, 0xe4], // xor r12d, r12d
    ...attempt(WAYS.vsock, socket(SYS.socket, BigInt(AF_VSOCK))),
    ...attempt(WAYS.vsockDirty, socket(SYS.socket, (1n << 32n) + BigInt(AF_VSOCK))),
    ...attempt(WAYS.vsock32, call32(SYS_32.socket, AF_VSOCK, SOCK_STREAM)),
    ...attempt(WAYS.vsockSocketcall, call32(SYS_32.socketcall, SYS_SOCKET, BASE + ARGUMENTS_AT)),
    ...attempt(WAYS.ioUring, call(SYS.ioUringSetup, 1n, BASE + PARAMETERS_AT)),
    ...attempt(WAYS.vsockX32, socket(SYS.x32Socket, BigInt(AF_VSOCK))),
    ...attempt(WAYS.inet32, call32(SYS_32.socket, AF_INET, SOCK_STREAM)),
    ...attempt(WAYS.inet, socket(SYS.socket, BigInt(AF_INET))),
    ...[0x44, 0x89, 0xe7], // mov edi, r12d
    ...[0xb8, ...u32(SYS.exit), 0x0f, 0x05],
  ];
  const file = new Uint8Array(ARGUMENTS_AT + 12);
  file.set(header(file.length));
  file.set(code, HEADER_BYTES);
  file.set([...u32(AF_VSOCK), ...u32(SOCK_STREAM), ...u32(0)], ARGUMENTS_AT);
  return file;
}

/** A call, and its bit in r12d unless it returned an error. */
function attempt(bit: number, code: readonly number[]): number[] {
  // test eax, eax; js over the next; or r12d, bit
  return [...code, 0x85, 0xc0, 0x78, 0x07, 0x41, 0x81, 0xcc, ...u32(bit)];
}

function socket(number: number, family: bigint): number[] {
  return call(number, family, SOCK_STREAM);
}

/** mov eax, number; mov rdi, first; mov esi, second; xor edx, edx; syscall */
function call(number: number, first: bigint, second: number): number[] {
  return [
    ...[0xb8, ...u32(number), 0x48, 0xbf, ...u64(first), 0xbe, ...u32(second)],
    ...[0x31, 0xd2, 0x0f, 0x05],
  ];
}

/** mov eax, number; mov ebx, first; mov ecx, second; xor edx, edx; int 0x80 */
function call32(number: number, first: number, second: number): number[] {
  return [
    ...[0xb8, ...u32(number), 0xbb, ...u32(first), 0xb9, ...u32(second)],
    ...[0x31, 0xd2, 0xcd, 0x80],
  ];
}

/** ELF header and one segment, loaded at BASE, that may be read, written and executed. */
function header(fileBytes: number): Uint8Array {
  return Uint8Array.from([
    ...[0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, ...u64(0n)],
    ...[2, 0, 62, 0, ...u32(1), ...u64(BigInt(BASE + HEADER_BYTES)), ...u64(64n), ...u64(0n)],
    ...[...u32(0), 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ...[...u32(1), ...u32(7), ...u64(0n), ...u64(BigInt(BASE)), ...u64(BigInt(BASE))],
    ...[...u64(BigInt(fileBytes)), ...u64(BigInt(MEMORY_BYTES)), ...u64(BigInt(MEMORY_BYTES))],
  ]);
}

function u32(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => value >>> shift & 0xff);
}

function u64(value: bigint): number[] {
  return [...u32(Number(value & 0xffff_ffffn)), ...u32(Number(value >> 32n))];
}
