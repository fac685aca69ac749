import assert from "node:assert/strict";
import fc from "fast-check";
import { VERSION } from "../../base/mod.ts";
import { checkGuestBuild } from "./guest_build.ts";

const SHIM = "0.1.0 (commit bbbbbbbbbbbb)";

Deno.test("a guest of the shim's own build is accepted", () => {
  checkGuestBuild(SHIM, SHIM);
});

Deno.test("a guest of another build is refused by an error that names both builds and the fix", () => {
  for (const guest of ["0.1.0 (commit aaaaaaaaaaaa)", "0.2.0 (unknown commit)"]) {
    assert.throws(() => checkGuestBuild(guest, SHIM), {
      name: "RefusedError",
      kind: "host",
      message: `root image has vminitd ${guest}, the shim is ${SHIM}: ` +
        "install root image and shim of one build (deno task build makes both)",
    });
  }
});

Deno.test("a build that no build is called is quoted", () => {
  for (
    const [guest, shown] of [["", '""'], ["0.1.0", '"0.1.0"'], ["a\n(b)", '"a\\n(b)"']] as const
  ) {
    assert.throws(() => checkGuestBuild(guest, SHIM), {
      message: new RegExp(`^root image has vminitd ${RegExp.escape(shown)}, the shim is `),
    });
  }
});

Deno.test("whatever the guest reports, the error is one printable line of bounded length", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 2000 }), (guest) => {
    fc.pre(guest !== SHIM);
    assert.throws(() => checkGuestBuild(guest, SHIM), ({ message }: Error) => {
      return message.length < 1000 && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(message);
    });
  }));
});

Deno.test("a shim that runs from source accepts every guest", () => {
  checkGuestBuild("0.1.0 (commit aaaaaaaaaaaa)", `${VERSION} (source)`);
  checkGuestBuild(`${VERSION} (source)`);
  assert.throws(() => checkGuestBuild(`${VERSION} (source)`, SHIM), /vminitd 0\.1\.0 \(source\)/);
});
