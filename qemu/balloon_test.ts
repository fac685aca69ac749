import assert from "node:assert/strict";
import { MIB } from "../base/mod.ts";
import { Balloon, type BalloonMonitor } from "./balloon.ts";

/** A monitor that answers when the test says so. */
class Monitor implements BalloonMonitor {
  readonly sent: number[] = [];
  readonly #answers: PromiseWithResolvers<unknown>[] = [];

  execute(command: string, { value }: Record<string, unknown>): Promise<unknown> {
    assert.equal(command, "balloon");
    this.sent.push(Number(value) / MIB);
    const answer = Promise.withResolvers<unknown>();
    this.#answers.push(answer);
    return answer.promise;
  }

  async answer(error?: Error): Promise<void> {
    const answer = this.#answers.shift()!;
    if (error === undefined) answer.resolve({});
    else answer.reject(error);
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }
}

function balloon(): { monitor: Monitor; lines: string[]; balloon: Balloon } {
  const monitor = new Monitor();
  const lines: string[] = [];
  const bounds = { least: 384, most: 1280 };
  return { monitor, lines, balloon: new Balloon(monitor, bounds, (line) => lines.push(line)) };
}

Deno.test("a Balloon holds nothing back before hold()", () => {
  const { monitor, balloon: held } = balloon();
  held.want(512);
  assert.deepEqual(monitor.sent, []);
  held.hold();
  assert.deepEqual(monitor.sent, [512]);
});

Deno.test("a guest gets the memory it asks for, within the bounds", async () => {
  const { monitor, balloon: held } = balloon();
  held.hold();
  for (const wanted of [512, 4_000_000_000, 0, 640]) {
    await monitor.answer();
    held.want(wanted);
  }
  assert.deepEqual(monitor.sent, [384, 512, 1280, 384, 640]);
});

Deno.test("a raised limit overrides a smaller request of the guest", async () => {
  const { monitor, balloon: held } = balloon();
  held.hold();
  await monitor.answer();
  held.least = 1024;
  await monitor.answer();
  held.want(512);
  held.want(1152);
  await monitor.answer();
  held.least = 256;
  assert.equal(held.size, 1152);
  held.want(0);
  assert.deepEqual(monitor.sent, [384, 1024, 1152, 256]);
});

Deno.test("of many requests during one command, only the last is sent", async () => {
  const { monitor, balloon: held } = balloon();
  held.hold();
  for (let mib = 384; mib <= 1000; mib++) held.want(mib);
  await monitor.answer();
  assert.deepEqual(monitor.sent, [384, 1000]);
  await monitor.answer();
  held.want(1000);
  assert.deepEqual(monitor.sent, [384, 1000]);
});

Deno.test("a refusal of QEMU is logged, and the next request is sent", async () => {
  const { monitor, lines, balloon: held } = balloon();
  held.hold();
  await monitor.answer(new Error("no balloon"));
  assert.deepEqual(lines, ["guest memory not set to 384 MiB: no balloon"]);
  held.want(512);
  await monitor.answer();
  assert.deepEqual(monitor.sent, [384, 512]);
});
