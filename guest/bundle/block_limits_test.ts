import assert from "node:assert/strict";
import fc from "fast-check";
import { limitsOfOwnDisks } from "./block_limits.ts";

const DISKS = [{ major: 254, minor: 16 }, { major: 254, minor: 32 }];
const rate = (...rates: number[]) => rates.map((rate, minor) => ({ major: 8, minor, rate }));
const own = (rate: number) => DISKS.map((disk) => ({ ...disk, rate }));

Deno.test("each own disk gets the least that any device has; 0 takes a limit away", () => {
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

Deno.test("without limits of I/O nobody asks for disks; without disks there is nothing to limit", () => {
  const given = { cpu: { shares: 2 } };
  assert.equal(limitsOfOwnDisks(given, () => assert.fail()), given);
  const limited = { blockIO: { throttleReadBpsDevice: rate(5) } };
  assert.deepEqual(limitsOfOwnDisks(limited, () => []), { blockIO: { throttleReadBpsDevice: [] } });
});

Deno.test("whatever the host sends, no number of its devices is left", () => {
  const list = fc.oneof(fc.jsonValue(), fc.array(fc.record({ major: fc.nat(), rate: fc.nat() })));
  fc.assert(fc.property(list, (throttleReadBpsDevice) => {
    const { blockIO } = limitsOfOwnDisks({ blockIO: { throttleReadBpsDevice } }, () => DISKS);
    const left = (blockIO as Record<string, unknown>)["throttleReadBpsDevice"];
    if (!Array.isArray(throttleReadBpsDevice)) return assert.equal(left, throttleReadBpsDevice);
    for (const { major } of left as { major: number }[]) assert.equal(major, 254);
  }));
});
