import assert from "node:assert/strict";
import { type Poller, type System } from "../../ffi/mod.ts";
import { followPressure } from "./pressure.ts";
import { ProcessorLoad } from "./processor_load.ts";
import { countProcessors, setOnline, wantedProcessors } from "./processors.ts";

/** A machine of four processors, of which so many are online; the kernel keeps no list here. */
class Machine implements Disposable {
  readonly path = Deno.makeTempDirSync();

  constructor(online: number) {
    this.write("present", "0-3\n");
    for (let cpu = 0; cpu < 4; cpu++) Deno.mkdirSync(`${this.path}/cpu${cpu}`);
    // The first one has no such file.
    for (let cpu = 1; cpu < 4; cpu++) this.write(`cpu${cpu}/online`, cpu < online ? "1\n" : "0\n");
    this.list();
    this.busy(0);
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.path}/${name}`, text);
  }

  /** Does what the kernel does: tells which are online. */
  list(): number[] {
    const online = [
      0,
      ...[1, 2, 3].filter((cpu) =>
        Deno.readTextFileSync(`${this.path}/cpu${cpu}/online`).trim() === "1"
      ),
    ];
    this.write("online", `${online.join(",")}\n`);
    return online;
  }

  busy(ticks: number): void {
    this.write("stat", `cpu  ${ticks} 0 0 99999 7 0 0 0 0 0\ncpu0 1\n`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("processors come and go from the end, and the first one stays", () => {
  using machine = new Machine(1);
  assert.deepEqual(countProcessors(machine.path), { present: 4, online: 1 });
  for (const [count, online] of [[3, 3], [3, 3], [9, 4], [2, 2], [0, 1], [Infinity, 4]] as const) {
    setOnline(count, machine.path);
    assert.equal(machine.list().length, online);
    assert.equal(countProcessors(machine.path).online, online);
  }
  machine.write("online", "0-2\n");
  assert.equal(countProcessors(machine.path).online, 3);
});

Deno.test("a container can use its quota, rounded up", () => {
  const cases: [Record<string, unknown>, number | null][] = [
    [{}, null],
    [{ cpu: null }, null],
    [{ cpu: { shares: 5 } }, null],
    [{ cpu: { quota: 150_000, period: 100_000 } }, 2],
    [{ cpu: { quota: 100_000 } }, 1],
    [{ cpu: { quota: 1, period: 0 } }, 1],
    [{ cpu: { quota: -1 } }, Infinity],
    [{ cpu: { quota: "many" } }, null],
  ];
  for (const [resources, wanted] of cases) assert.equal(wantedProcessors(resources), wanted);
});

Deno.test("load brings processors, one at a time, and idleness takes them away again", async () => {
  using machine = new Machine(1);
  let pressed = Promise.withResolvers<void>();
  const written: string[] = [];
  const system = {
    open: () => 9,
    close: () => {},
    write: (_: unknown, data: Uint8Array) => written.push(new TextDecoder().decode(data)),
  } as unknown as System;
  const ended = new Error("the test is over");
  const poller = { wait: () => pressed.promise } as unknown as Poller;
  const rules = { growPercent: 60, cooldownMs: 20 };
  machine.busy(1e6);
  const load = new ProcessorLoad({ stat: `${machine.path}/stat`, processors: machine.path });
  const following = assert.rejects(followPressure(system, poller, rules, load), ended);
  const press = async () => {
    const before = pressed;
    pressed = Promise.withResolvers();
    before.resolve();
    await new Promise((resolve) => setTimeout(resolve, 1));
    return machine.list().length;
  };
  const later = async (ticksPerMs: number) => {
    const from = performance.now();
    while (performance.now() - from < 100) {
      machine.busy((performance.now() - from) * ticksPerMs + 1e6);
      await new Promise((resolve) => setTimeout(resolve, 2));
      machine.list();
    }
    return machine.list().length;
  };
  machine.busy(1e6);
  assert.deepEqual(written, ["some 600000 1000000\0"]);
  assert.deepEqual([await press(), await press()], [2, 3]);
  // More work than three processors could do, since this process may come late: all of them stay.
  assert.equal(await later(1), 3);
  machine.busy(1e6);
  assert.equal(await later(0), 1);
  pressed.reject(ended);
  await following;
});
