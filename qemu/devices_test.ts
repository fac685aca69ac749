import assert from "node:assert/strict";
import { balloonOf, checkSlots, hasSlotLeft, wantedBalloon } from "./devices.ts";
import { SMALLEST } from "./testing/vm_config.ts";

Deno.test("eight virtio devices fit, and a ninth is refused with the count of each kind", () => {
  checkSlots({ filesystems: 2, disks: 2, nics: 2 });
  assert.equal(hasSlotLeft({ filesystems: 2, disks: 2, nics: 2 }), false);
  assert.equal(hasSlotLeft({ filesystems: 2, disks: 2, nics: 1 }), true);
  assert.throws(() => checkSlots({ filesystems: 2, disks: 1, nics: 4 }), {
    message: "virtual machine needs 9 virtio devices (1 vsock, 1 root disk, 2 file systems, " +
      "1 disks, 4 network interfaces), but a microvm has 8 slots",
  });
});

Deno.test("a balloon is for free memory or growth, and needs a slot", () => {
  const { size } = SMALLEST;
  const larger = { ...size, memoryMibMax: size.memoryMib + 128 };
  assert.equal(wantedBalloon({ returnsMemory: false, size }), null);
  assert.deepEqual(wantedBalloon({ returnsMemory: false, size: larger }), {
    ...{ returnsFree: false, holdsBack: true },
  });
  assert.deepEqual(balloonOf(SMALLEST), { returnsFree: true, holdsBack: false });
  const share = { tag: "a", directory: "/d", readonly: true };
  assert.equal(balloonOf({ ...SMALLEST, shares: Array(6).fill(share) }), null);
});
