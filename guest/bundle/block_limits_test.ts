import assert from "node:assert/strict";
import fc from "fast-check";
import { limitsOfOwnDisks } from "./block_limits.ts";

const DISKS = [{ major: 254, minor: 16 }, { major: 254, minor: 32 }];
type Rate = number | bigint;
const rate = (...rates: Rate[]) => rates.map((rate, minor) => ({ major: 8, minor, rate }));
const own = (rate: Rate) => DISKS.map((disk) => ({ ...disk, rate }));

Deno.test("each own disk gets the lowest limit of any device; 0 removes a limit", () => {
  const given = {
    memory: { limit: 1 },
    blockIO: {
      weight: 100,
      throttleReadBpsDevice: rate(30, 10, 20),
      throttleWriteBpsDevice: rate(0, 7),
      throttleReadIOPSDevice: rate(0),
      throttleWriteIOPSDevice: [],
    },
  };
  assert.deepEqual(limitsOfOwnDisks(given, () => DISKS), {
    memory: { limit: 1 },
    blockIO: {
      weight: 100,
      throttleReadBpsDevice: own(10),
      throttleWriteBpsDevice: own(7),
      throttleReadIOPSDevice: own(Number.MAX_SAFE_INTEGER),
      throttleWriteIOPSDevice: [],
    },
  });
});

Deno.test("limits of 64 bits stay exact", () => {
  const max = 2n ** 64n - 1n;
  const given = {
    blockIO: { throttleReadBpsDevice: rate(max), throttleWriteBpsDevice: rate(max, 5) },
  };
  assert.deepEqual(limitsOfOwnDisks(given, () => DISKS), {
    blockIO: { throttleReadBpsDevice: own(max), throttleWriteBpsDevice: own(5) },
  });
});

Deno.test("without I/O limits nobody asks for disks; without disks there is nothing to limit", () => {
  for (const given of [{ cpu: { shares: 2 } }, { blockIO: { weight: 5 } }]) {
    assert.equal(limitsOfOwnDisks(given, () => assert.fail()), given);
  }
  const limited = { blockIO: { throttleReadBpsDevice: rate(5) } };
  assert.deepEqual(limitsOfOwnDisks(limited, () => []), { blockIO: { throttleReadBpsDevice: [] } });
});

Deno.test("whatever the host sends, none of its device numbers is left", () => {
  const list = fc.oneof(fc.jsonValue(), fc.array(fc.record({ major: fc.nat(), rate: fc.nat() })));
  fc.assert(fc.property(list, (throttleReadBpsDevice) => {
    const { blockIO } = limitsOfOwnDisks({ blockIO: { throttleReadBpsDevice } }, () => DISKS);
    const left = (blockIO as Record<string, unknown>)["throttleReadBpsDevice"];
    if (!Array.isArray(throttleReadBpsDevice)) return assert.equal(left, throttleReadBpsDevice);
    for (const { major } of left as { major: number }[]) assert.equal(major, 254);
  }));
});
