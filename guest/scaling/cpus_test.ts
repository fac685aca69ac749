import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { type Poller, type System } from "../../ffi/mod.ts";
import { CpuLoad } from "./cpu_load.ts";
import { countCpus, setOnline, wantedCpus } from "./cpus.ts";
import { followPressure } from "./pressure.ts";

/** The files of a guest with four CPUs. No kernel updates its list: `list` does. */
class FakeGuest implements Disposable {
  readonly path = Deno.makeTempDirSync();

  constructor(online: number) {
    this.write("present", "0-3\n");
    for (let cpu = 0; cpu < 4; cpu++) Deno.mkdirSync(`${this.path}/cpu${cpu}`);
    // The first CPU has no such file.
    for (let cpu = 1; cpu < 4; cpu++) this.write(`cpu${cpu}/online`, cpu < online ? "1\n" : "0\n");
    this.list();
    this.busy(0);
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.path}/${name}`, text);
  }

  /** Updates the list of online CPUs like the kernel, and returns it. */
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

Deno.test("setOnline adds and removes CPUs from the end, and keeps the first one", () => {
  using vm = new FakeGuest(1);
  assert.deepEqual(countCpus(vm.path), { present: 4, online: 1 });
  for (const [count, online] of [[3, 3], [3, 3], [9, 4], [2, 2], [0, 1], [Infinity, 4]] as const) {
    setOnline(count, vm.path);
    assert.equal(vm.list().length, online);
    assert.equal(countCpus(vm.path).online, online);
  }
  vm.write("online", "0-2\n");
  assert.equal(countCpus(vm.path).online, 3);
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
    [{ cpu: { quota: 2n ** 63n - 1n, period: 100_000 } }, 92_233_720_368_548],
    [{ cpu: { quota: 300_000, period: 2n ** 64n - 1n } }, 1],
  ];
  for (const [resources, wanted] of cases) assert.equal(wantedCpus(resources), wanted);
});

Deno.test("load brings CPUs online one at a time, and idleness takes them offline again", async () => {
  using vm = new FakeGuest(1);
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
  vm.busy(1e6);
  const load = new CpuLoad({ stat: `${vm.path}/stat`, cpus: vm.path });
  const following = assert.rejects(followPressure(system, poller, rules, load), ended);
  const press = async () => {
    const before = pressed;
    pressed = Promise.withResolvers();
    before.resolve();
    await delay(1);
    return vm.list().length;
  };
  const later = async (ticksPerMs: number) => {
    const from = performance.now();
    while (performance.now() - from < 100) {
      vm.busy((performance.now() - from) * ticksPerMs + 1e6);
      await delay(2);
      vm.list();
    }
    return vm.list().length;
  };
  vm.busy(1e6);
  assert.deepEqual(written, ["some 600000 1000000\0"]);
  assert.deepEqual([await press(), await press()], [2, 3]);
  // More work than three CPUs could do, because this process may be late: all stay online.
  assert.equal(await later(1), 3);
  vm.busy(1e6);
  assert.equal(await later(0), 1);
  pressed.reject(ended);
  await following;
});
