import assert from "node:assert/strict";
import { SystemError } from "../ffi/mod.ts";
import {
  chooseAccelerator,
  chooseVsockTransport,
  hasVirtualisationFlag,
  type HostProbe,
  probeHost,
} from "./accelerator.ts";

const GOOD: HostProbe = { kvmError: null, hardwareVirtualisation: true, vhostVsock: true };
const PVM: HostProbe = { ...GOOD, hardwareVirtualisation: false };
const DENIED: HostProbe = { ...GOOD, kvmError: "EACCES" };
const NOTHING: HostProbe = { kvmError: "ENOENT", hardwareVirtualisation: false, vhostVsock: false };

Deno.test("auto takes KVM where it works, without a warning", () => {
  assert.deepEqual(chooseAccelerator("auto", GOOD), { accelerator: "kvm" });
  assert.deepEqual(chooseAccelerator("kvm", GOOD), { accelerator: "kvm" });
});

Deno.test("auto falls back to TCG with one warning line that says why and what to do", () => {
  for (const [probe, why] of [[PVM, /although \/dev\/kvm opens/], [DENIED, /EACCES/]] as const) {
    const { accelerator, warning } = chooseAccelerator("auto", probe);
    assert.equal(accelerator, "tcg");
    assert.match(warning!, why);
    assert(!warning!.includes("\n"));
  }
});

Deno.test("an explicit tcg gives no warning", () => {
  assert.deepEqual(chooseAccelerator("tcg", NOTHING), { accelerator: "tcg" });
});

Deno.test("an explicit kvm that does not work is an error that names the fix", () => {
  for (const probe of [PVM, DENIED, NOTHING]) {
    assert.throws(() => chooseAccelerator("kvm", probe), {
      kind: "host",
      message: /^accelerator kvm was asked for, but .*: .* set the accelerator to auto or tcg/,
    });
  }
});

Deno.test("the kernel's vsock is used where the host has it", () => {
  assert.equal(chooseVsockTransport(GOOD), "kernel");
  assert.equal(chooseVsockTransport(NOTHING), "vhost-user");
});

Deno.test("vmx and svm match as whole flags, not as parts of others", () => {
  assert(hasVirtualisationFlag("processor: 0\nflags\t\t: fpu vme vmx\nvmx flags: x\n"));
  assert(hasVirtualisationFlag("flags\t\t: fpu svm sse\n"));
  assert(!hasVirtualisationFlag("flags\t\t: fpu svm_lock xvmx sse\nvmx flags\t: vnmi vmx\n"));
  assert(!hasVirtualisationFlag(""));
});

Deno.test("the probe records why a device does not open, and closes one that does", () => {
  const closed: number[] = [];
  const system = {
    open: (path: string) => {
      if (path === "/dev/kvm") throw new SystemError("open", "EACCES", { path });
      return 77;
    },
    close: (fd: number) => closed.push(fd),
  } as unknown as Parameters<typeof probeHost>[0];
  const probe = probeHost(system);
  assert.equal(probe.kvmError, "EACCES");
  assert.equal(probe.vhostVsock, true);
  assert.deepEqual(closed, [77]);
});
