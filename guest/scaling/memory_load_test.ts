import assert from "node:assert/strict";
import { MemoryLoad } from "./memory_load.ts";

/** A guest whose memory use a test sets. */
class FakeGuest implements Disposable {
  readonly asked: number[] = [];
  readonly #meminfo = Deno.makeTempFileSync();
  readonly load: MemoryLoad;
  #mib: number;

  constructor(leastMib: number, mostMib: number) {
    this.#mib = leastMib;
    const ask = (mib: number) => {
      this.#mib = mib;
      this.asked.push(mib);
    };
    this.load = new MemoryLoad({ leastMib, mostMib }, ask, this.#meminfo);
  }

  /** Lets the load look once, while `usedMib` are in use. Returns the guest's size. */
  shrink(usedMib: number): number {
    const availableKib = (this.#mib - usedMib) * 1024;
    Deno.writeTextFileSync(
      this.#meminfo,
      `MemTotal: 9 kB\nMemAvailable:   ${availableKib} kB\n`,
    );
    this.load.shrink();
    return this.#mib;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#meminfo);
  }
}

Deno.test("grow asks for half as much again, up to the limit", () => {
  using vm = new FakeGuest(384, 1792);
  assert(vm.load.isLeast);
  for (let press = 0; press < 6; press++) vm.load.grow();
  assert.deepEqual(vm.asked, [640, 1024, 1536, 1792]);
  assert(!vm.load.isLeast);
});

Deno.test("a small guest grows by at least one step", () => {
  using vm = new FakeGuest(128, 512);
  vm.load.grow();
  assert.deepEqual(vm.asked, [256]);
});

Deno.test("shrink returns unused memory, down to the initial size", () => {
  using vm = new FakeGuest(384, 1792);
  vm.load.grow();
  vm.load.grow();
  vm.load.grow();
  // A quarter remains free, and less than a step is not worth it.
  assert.equal(vm.shrink(1200), 1536);
  assert.equal(vm.shrink(1050), 1408);
  assert.equal(vm.shrink(600), 896);
  assert.equal(vm.shrink(100), 384);
  assert(vm.load.isLeast);
  assert.equal(vm.shrink(100), 384);
});

Deno.test("an implausible MemAvailable is harmless", () => {
  using vm = new FakeGuest(384, 1792);
  vm.load.grow();
  assert.equal(vm.shrink(640), 640);
  assert.equal(vm.shrink(-5000), 384);
});
