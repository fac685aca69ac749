import assert from "node:assert/strict";
import { bootParts } from "./boot_parts.ts";

const TIMES = {
  kernelUpMs: 1450,
  stage0Ms: 1500,
  readyMs: 3000,
  firstRpcMs: 40,
  guest: [
    { name: "vminitd started", bootMs: 2000 },
    { name: "main", bootMs: 2300 },
    { name: "mounted", bootMs: 2320 },
    { name: "listening", bootMs: 2400 },
  ],
};

Deno.test("the guest's clock meets the host's where the guest is ready", () => {
  assert.deepEqual(bootParts(TIMES), {
    "boot-qemu": 600,
    "boot-kernel": 850,
    "boot-stage0": 50,
    "boot-deno": 1100,
    "boot-modules": 300,
    "boot-vminitd": 100,
    "boot-first-rpc": 40,
  });
});

Deno.test("a missing point of the guest's timeline is named", () => {
  assert.throws(() => bootParts({ ...TIMES, guest: [] }), /no point "listening"/);
});
