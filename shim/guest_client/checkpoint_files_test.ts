import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { MIB } from "../../base/mod.ts";
import { fetchCheckpoint, type GuestCheckpoint, sendCheckpoint } from "./checkpoint_files.ts";
import { GuestError } from "./guest_error.ts";
import { temporaryFolder } from "../testing/test_support.ts";

const never = new AbortController().signal;

interface Chunk {
  readonly file: string;
  readonly offsetBytes: bigint;
  readonly lengthBytes: number;
  readonly data: Uint8Array;
}

/** A guest with checkpoint "c" in memory, whose answers a test may falsify. */
class Files {
  readonly files = new Map<string, Uint8Array>();
  listed: (name: string, size: number) => { name: string; sizeBytes: bigint } = (name, size) => ({
    name,
    sizeBytes: BigInt(size),
  });
  answer: (data: Uint8Array) => Uint8Array = (data) => data;

  get checkpoint(): GuestCheckpoint {
    const checkpoints = {
      list: () =>
        Promise.resolve({
          files: [...this.files].map(([name, data]) => this.listed(name, data.length)),
        }),
      read: ({ file, offsetBytes, lengthBytes }: Chunk) => {
        const from = Number(offsetBytes);
        const data = this.files.get(file)!.subarray(from, from + lengthBytes);
        return Promise.resolve({ data: this.answer(data) });
      },
      write: ({ file, offsetBytes, data }: Chunk) => {
        const before = this.files.get(file) ?? new Uint8Array();
        assert.equal(before.length, Number(offsetBytes));
        const after = new Uint8Array(before.length + data.length);
        after.set(before);
        after.set(data, before.length);
        this.files.set(file, after);
        return Promise.resolve({});
      },
    };
    return { guest: { checkpoints } as never, name: "c" };
  }
}

/** As deepEqual, which takes seconds for megabytes. */
function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(Buffer.compare(actual, expected), 0);
}

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

Deno.test("files of all sizes are copied unchanged, out of a guest and into one", async () => {
  using temporary = temporaryFolder();
  const directory = temporary.path;
  const guest = new Files();
  guest.files.set("empty", new Uint8Array());
  guest.files.set("small.img", new Uint8Array([1, 2, 3]));
  guest.files.set("one", new Uint8Array(MIB).fill(4));
  guest.files.set("odd", new Uint8Array(2 * MIB + 7).map((_, index) => index));
  await fetchCheckpoint(guest.checkpoint, `${directory}/new`, 10 * MIB, never);
  assert.deepEqual(names(`${directory}/new`), ["empty", "odd", "one", "small.img"]);
  for (const [name, data] of guest.files) {
    assertSame(await Deno.readFile(`${directory}/new/${name}`), data);
    assert.equal((await Deno.stat(`${directory}/new/${name}`)).mode! & 0o777, 0o600);
  }
  await Deno.mkdir(`${directory}/new/directory`);
  const other = new Files();
  await sendCheckpoint(other.checkpoint, `${directory}/new`, never);
  assert.deepEqual([...other.files.keys()].sort(), [...guest.files.keys()].sort());
  for (const [name, data] of guest.files) assertSame(other.files.get(name)!, data);
});

Deno.test("a checkpoint that no guest of ours has is hostile, and leaves no file", async () => {
  using temporary = temporaryFolder();
  const directory = temporary.path;
  const lies: [RegExp, (guest: Files) => void][] = [
    [/has a file "\.\.\/x"/, (guest) => guest.files.set("../x", new Uint8Array(1))],
    [/has a file "a\/b"/, (guest) => guest.files.set("a/b", new Uint8Array(1))],
    [/more than the guest's memory/, (guest) => {
      guest.listed = (name) => ({ name, sizeBytes: 2n ** 63n });
    }],
    [/answered 0 bytes/, (guest) => guest.answer = () => new Uint8Array()],
    [/answered 4 bytes of first instead of 3$/, (guest) => guest.answer = () => new Uint8Array(4)],
    [/has 70000 files/, (guest) => {
      for (let index = 0; index < 70_000 - 1; index++) {
        guest.files.set(`f${index}`, new Uint8Array());
      }
    }],
  ];
  for (const [message, lie] of lies) {
    const guest = new Files();
    guest.files.set("first", new Uint8Array([1, 2, 3]));
    lie(guest);
    await assert.rejects(
      fetchCheckpoint(guest.checkpoint, `${directory}/c`, MIB, never),
      (error) => {
        assert.ok(error instanceof GuestError && error.kind === "hostile");
        assert.match(error.message, message);
        return true;
      },
    );
    assert.deepEqual(names(directory), []);
  }
});

Deno.test("a file that exists is neither overwritten nor removed", async () => {
  using temporary = temporaryFolder();
  const directory = temporary.path;
  await Deno.symlink("/etc/passwd", `${directory}/small`);
  const guest = new Files();
  guest.files.set("first", new Uint8Array([1]));
  guest.files.set("small", new Uint8Array([1]));
  await assert.rejects(
    fetchCheckpoint(guest.checkpoint, directory, MIB, never),
    Deno.errors.AlreadyExists,
  );
  assert.deepEqual(names(directory), ["small"]);
});
