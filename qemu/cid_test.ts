import assert from "node:assert/strict";
import { Child, SIG, system } from "../ffi/mod.ts";
import { leaseCid, removeCidLease } from "./cid.ts";

function withFolder(work: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    work(`${folder}/cids`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
const list = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("an id that is held is never given out again, and a freed one leaves nothing", () => {
  withFolder((folder) => {
    let draws = 0;
    // Draws each number twice.
    const random = () => Math.floor(draws++ / 2) / 1000;
    const first = leaseCid(folder, { random });
    const second = leaseCid(folder, { random });
    assert.notEqual(first.cid, second.cid);
    assert.equal(list(folder).length, 2);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    assert.deepEqual(list(folder), []);
  });
});

Deno.test("when all are held that can be drawn, it says so", () => {
  withFolder((folder) => {
    using _held = leaseCid(folder, { random: () => 0 });
    assert.throws(() => leaseCid(folder, { random: () => 0 }), { kind: "host" });
  });
});

Deno.test("ids are in the range that vsock(7) allows to guests", () => {
  withFolder((folder) => {
    for (const random of [0, 0.5, 1 - Number.EPSILON]) {
      using lease = leaseCid(folder, { random: () => random });
      assert(Number.isInteger(lease.cid) && lease.cid >= 3 && lease.cid < 0xffff_ffff);
    }
  });
});

Deno.test("a lease whose owner died is free, its file notwithstanding", () => {
  withFolder((folder) => {
    const lease = leaseCid(folder, { random: () => 0 });
    const { path, cid } = lease;
    lease[Symbol.dispose]();
    // What a killed process leaves: the file without the lock.
    Deno.writeTextFileSync(path, "");
    using again = leaseCid(folder, { random: () => 0 });
    assert.equal(again.cid, cid);
  });
});

Deno.test("removing a dead lease removes its file; a living one stays", () => {
  withFolder((folder) => {
    const living = leaseCid(folder);
    assert.equal(removeCidLease(living.path), false);
    assert.equal(list(folder).length, 1);
    living[Symbol.dispose]();
    Deno.writeTextFileSync(living.path, "");
    assert.equal(removeCidLease(living.path), true);
    assert.deepEqual(list(folder), []);
    assert.equal(removeCidLease(living.path), true);
    assert.equal(removeCidLease(`${folder}/none/cid-1.lock`), true);
  });
});

Deno.test("a lease outlives its owner in a process that inherited it", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const lease = leaseCid(folder, { random: () => 0 });
    const child = Child.spawn({ path: "/bin/sleep", args: ["600"], fds: { 3: lease.fd } });
    // As if the owner had been killed: the descriptor is closed, and nothing else is done.
    system.close(lease.fd);
    assert.throws(() => leaseCid(folder, { random: () => 0 }), { kind: "host" });
    child.kill(SIG.KILL);
    await child.exited;
    leaseCid(folder, { random: () => 0 })[Symbol.dispose]();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
