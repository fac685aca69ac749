import assert from "node:assert/strict";
import { setidFilter, whyNoFilter } from "./setid_filter.ts";

const ALLOWED = "allow", REFUSED = "EPERM", MISSING = "ENOSYS";
const VERDICTS: Record<number, string> = {
  ...{ 0x7fff_0000: ALLOWED, 0x0005_0001: REFUSED, 0x0005_0026: MISSING },
};
const X86_64 = 0xc000_003e;

/** Runs the filter as the kernel does: networking/filter.rst. */
function verdict(number: number, args: readonly number[], arch = X86_64): string {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  args.forEach((value, index) => data.setUint32(16 + 8 * index, value >>> 0, true));
  const program = new DataView(setidFilter().buffer);
  let loaded = 0;
  for (let at = 0; at < program.byteLength; at += 8) {
    const operand = program.getUint32(at + 4, true);
    const jump = (condition: boolean) => at += 8 * program.getUint8(at + (condition ? 2 : 3));
    switch (program.getUint16(at, true)) {
      case 0x20:
        loaded = data.getUint32(operand, true);
        break;
      case 0x15:
        jump(loaded === operand);
        break;
      case 0x35:
        jump(loaded >= operand);
        break;
      case 0x45:
        jump((loaded & operand) !== 0);
        break;
      case 0x06:
        return VERDICTS[operand] ?? "other";
      default:
        throw new Error("unknown instruction");
    }
  }
  throw new Error("fell off the end");
}

Deno.test("a mode with setuid or setgid is refused in each system call that takes one", () => {
  const O_CREAT = 0o100, O_TMPFILE = 0o20200000;
  const withMode: ((mode: number) => [number, number[]])[] = [
    (mode) => [90, [1, mode]],
    (mode) => [91, [3, mode]],
    (mode) => [85, [1, mode]],
    (mode) => [133, [1, mode]],
    (mode) => [259, [3, 1, mode]],
    (mode) => [268, [3, 1, mode]],
    (mode) => [452, [3, 1, mode, 0]],
    (mode) => [2, [1, O_CREAT, mode]],
    (mode) => [257, [3, 1, O_CREAT | 2, mode]],
    (mode) => [257, [3, 1, O_TMPFILE | 2, mode]],
  ];
  for (const call of withMode) {
    for (const mode of [0o4755, 0o2755, 0o6000, 0o104755, 0o42775]) {
      assert.equal(verdict(...call(mode)), REFUSED, String(call(mode)));
    }
    for (const mode of [0, 0o755, 0o1777, 0o777, 0o100644]) {
      assert.equal(verdict(...call(mode)), ALLOWED, String(call(mode)));
    }
  }
});

Deno.test("everything else is allowed, and other ABIs are not", () => {
  // Without O_CREAT the mode is whatever the register holds.
  assert.equal(verdict(257, [3, 1, 2, 0o6777]), ALLOWED);
  assert.equal(verdict(2, [1, 0o200000, 0o6777]), ALLOWED);
  for (const number of [0, 1, 86, 258, 436, 438, 500]) {
    assert.equal(verdict(number, [0o6777, 0o6777, 0o6777, 0o6777]), ALLOWED);
  }
  assert.equal(verdict(437, [3, 1, 1, 24]), MISSING);
  assert.equal(verdict(15, [1, 0o4755], 0x4000_0003), REFUSED);
  assert.equal(verdict(0x4000_0000 + 268, [3, 1, 0o755]), REFUSED);
});

Deno.test("a setpriv without the option is recognized", () => {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, "\x7fELF…--pdeathsig…");
    assert.equal(
      whyNoFilter(file),
      `${file} has no option --seccomp-filter (util-linux 2.41)`,
    );
    Deno.writeTextFileSync(file, "\x7fELF\xff…seccomp-filter\0…");
    assert.equal(whyNoFilter(file), null);
    assert.match(whyNoFilter("/not/there") ?? "", /^\/not\/there: /);
  } finally {
    Deno.removeSync(file);
  }
});
