/** Minimal ELF files for tests of the reader in root/elf.ts. */

/** Path of the dynamic linker. */
export const LINKER = "/lib64/ld-linux-x86-64.so.2";

/** Returns an ELF file that needs `libraries`, and an executable if `interpreter` is given. */
export function elf(libraries: readonly string[], interpreter: string | null = null): Uint8Array {
  const strings = `\0${[...libraries, interpreter ?? ""].join("\0")}\0`;
  const file = new Uint8Array(1024);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, interpreter === null ? 2 : 3, true);
  const stringsAt = 700;
  file.set(new TextEncoder().encode(strings), stringsAt);
  const segment = (index: number, type: number, offset: number, bytes: number) => {
    const at = 64 + 56 * index;
    view.setUint32(at, type, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(offset), true);
    view.setBigUint64(at + 32, BigInt(bytes), true);
  };
  const place = (text: string) => strings.indexOf(`\0${text}\0`) + 1;
  const tags = [[5, stringsAt], ...libraries.map((name) => [1, place(name)])];
  tags.forEach(([tag, value], index) => {
    view.setBigUint64(300 + 16 * index, BigInt(tag!), true);
    view.setBigUint64(308 + 16 * index, BigInt(value!), true);
  });
  segment(0, 1, 0, file.length);
  segment(1, 2, 300, 16 * (tags.length + 1));
  if (interpreter !== null) segment(2, 3, stringsAt + place(interpreter), interpreter.length + 1);
  return file;
}
