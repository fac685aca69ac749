import assert from "node:assert/strict";
import { MemoryLoad } from "./memory_load.ts";

/** A machine whose processes use so much. */
class Machine implements Disposable {
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

  /** One look, while so much is used. */
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

Deno.test("memory is asked for by halves, up to what there is", () => {
  using machine = new Machine(384, 1792);
  assert(machine.load.isLeast);
  for (let press = 0; press < 6; press++) machine.load.grow();
  assert.deepEqual(machine.asked, [640, 1024, 1536, 1792]);
  assert(!machine.load.isLeast);
});

Deno.test("a small machine grows by a step at least", () => {
  using machine = new Machine(128, 512);
  machine.load.grow();
  assert.deepEqual(machine.asked, [256]);
});

Deno.test("what is not used is given back, down to what it had at first", () => {
  using machine = new Machine(384, 1792);
  machine.load.grow();
  machine.load.grow();
  machine.load.grow();
  // A quarter shall be left, and less than a step is not worth it.
  assert.equal(machine.shrink(1200), 1536);
  assert.equal(machine.shrink(1050), 1408);
  assert.equal(machine.shrink(600), 896);
  assert.equal(machine.shrink(100), 384);
  assert(machine.load.isLeast);
  assert.equal(machine.shrink(100), 384);
});

Deno.test("a machine that has more than it was told, or nothing left, does no harm", () => {
  using machine = new Machine(384, 1792);
  machine.load.grow();
  assert.equal(machine.shrink(640), 640);
  assert.equal(machine.shrink(-5000), 384);
});
