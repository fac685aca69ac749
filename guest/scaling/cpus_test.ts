import assert from "node:assert/strict";
import { CpuLoad } from "./cpu_load.ts";
import { countCpus, setOnline, wantedCpus } from "./cpus.ts";

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

Deno.test("load brings CPUs online one at a time, and idleness takes them offline again", () => {
  using vm = new FakeGuest(1);
  let [nowMs, ticks] = [5, 1e6];
  vm.busy(ticks);
  const load = new CpuLoad({ stat: `${vm.path}/stat`, cpus: vm.path, now: () => nowMs });
  const grow = (): number => {
    load.grow();
    load.measure();
    return vm.list().length;
  };
  /** Lets so many CPUs be busy for a second, then lets the load look. */
  const look = (busyCpus: number): number => {
    nowMs += 1_000;
    ticks += busyCpus * 100;
    vm.busy(ticks);
    load.shrink();
    return vm.list().length;
  };
  assert(load.isLeast);
  assert.deepEqual([grow(), grow()], [2, 3]);
  assert(!load.isLeast);
  assert.deepEqual([look(3), look(1.75), look(1.74)], [3, 3, 2]);
  assert.deepEqual([look(0.75), look(0.74), look(0)], [2, 1, 1]);
  assert(load.isLeast);
  assert.deepEqual([grow(), grow(), grow(), grow()], [2, 3, 4, 4]);
});
