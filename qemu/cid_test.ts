import assert from "node:assert/strict";
import { Child, SIG, system } from "../ffi/mod.ts";
import { leaseCid } from "./cid.ts";
import { removeIdLease } from "./id_lease.ts";

function withDirectory(work: (directory: string) => void): void {
  const parent = Deno.makeTempDirSync();
  try {
    work(`${parent}/cids`);
  } finally {
    Deno.removeSync(parent, { recursive: true });
  }
}
const list = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name);

Deno.test("a held id is not leased again, and a freed one leaves no file", () => {
  withDirectory((directory) => {
    let draws = 0;
    // Draws each number twice.
    const random = () => Math.floor(draws++ / 2) / 1000;
    const first = leaseCid(directory, { random });
    const second = leaseCid(directory, { random });
    assert.notEqual(first.cid, second.cid);
    assert.equal(list(directory).length, 2);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    assert.deepEqual(list(directory), []);
  });
});

Deno.test("an error says that no id is free", () => {
  withDirectory((directory) => {
    using _held = leaseCid(directory, { random: () => 0 });
    assert.throws(() => leaseCid(directory, { random: () => 0 }), { kind: "host" });
  });
});

Deno.test("ids are in the range that vsock(7) allows for guests", () => {
  withDirectory((directory) => {
    for (const random of [0, 0.5, 1 - Number.EPSILON]) {
      using lease = leaseCid(directory, { random: () => random });
      assert(Number.isInteger(lease.cid) && lease.cid >= 3 && lease.cid < 0xffff_ffff);
    }
  });
});

Deno.test("the id of a dead owner is free, even if its file is still there", () => {
  withDirectory((directory) => {
    const lease = leaseCid(directory, { random: () => 0 });
    const { path, cid } = lease;
    lease[Symbol.dispose]();
    // What a killed process leaves: the file without the lock.
    Deno.writeTextFileSync(path, "");
    using again = leaseCid(directory, { random: () => 0 });
    assert.equal(again.cid, cid);
  });
});

Deno.test("removeIdLease removes the file of a dead lease and keeps a living one", () => {
  withDirectory((directory) => {
    const living = leaseCid(directory);
    assert.equal(removeIdLease(living.path), false);
    assert.equal(list(directory).length, 1);
    living[Symbol.dispose]();
    Deno.writeTextFileSync(living.path, "");
    assert.equal(removeIdLease(living.path), true);
    assert.deepEqual(list(directory), []);
    assert.equal(removeIdLease(living.path), true);
    assert.equal(removeIdLease(`${directory}/none/cid-1.lock`), true);
  });
});

Deno.test("a lease stays held while a process that inherited it lives", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const lease = leaseCid(directory, { random: () => 0 });
    const child = Child.spawn({ path: "/bin/sleep", args: ["600"], fds: { 3: lease.fd } });
    // As if the owner had been killed: the descriptor is closed, and nothing else happens.
    system.close(lease.fd);
    assert.throws(() => leaseCid(directory, { random: () => 0 }), { kind: "host" });
    child.kill(SIG.KILL);
    await child.exited;
    leaseCid(directory, { random: () => 0 })[Symbol.dispose]();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
