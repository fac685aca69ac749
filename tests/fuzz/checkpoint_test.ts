/** Files of a hostile guest's checkpoint, which become files of the host. */

import assert from "node:assert/strict";
import { isThere, listIfPresent } from "../../base/mod.ts";
import { create, fromBinary, guest, toBinary } from "../../proto/mod.ts";
import { fetchCheckpoint } from "../../shim/guest_client/checkpoint_files.ts";
import { GuestError } from "../../shim/guest_client/guest_error.ts";
import { fuzz } from "./fuzz.ts";
import { Random, seedOf } from "./random.ts";
import { type Target } from "./target.ts";

const BYTES_MAX = 64 * 1024;
const never = new AbortController().signal;

const list = (...files: readonly { name: string; sizeBytes: bigint }[]) =>
  toBinary(
    guest.ListCheckpointResponseSchema,
    create(guest.ListCheckpointResponseSchema, { files: [...files] }),
  );

/** A guest that answers each read with about as much as was asked for. */
function guestWith(files: guest.CheckpointFile[], random: Random) {
  const read = ({ lengthBytes }: { lengthBytes: number }) => {
    const length = random.once(200) ? random.pick([0, lengthBytes + 1]) : lengthBytes;
    return Promise.resolve({ data: new Uint8Array(length) });
  };
  return { checkpoints: { list: () => Promise.resolve({ files }), read } } as never;
}

const checkpoint: Target = {
  name: "checkpoint-files",
  seeds: [
    list({ name: "core-1.img", sizeBytes: 100n }, { name: "pages-1.img", sizeBytes: 4096n }),
    list({ name: "empty", sizeBytes: 0n }, { name: "a.b_c-d", sizeBytes: 1n }),
  ],
  words: ["..", "/", "../x", ".hidden", "\0", "core-1.img", "\n"],
  bytesMax: 4096,
  parse: async (bytes) => {
    let files: guest.CheckpointFile[];
    try {
      ({ files } = fromBinary(guest.ListCheckpointResponseSchema, bytes));
    } catch {
      return "not a list";
    }
    const outer = Deno.makeTempDirSync({ prefix: "fuzz-checkpoint-" });
    const directory = `${outer}/files`;
    try {
      const from = { guest: guestWith(files, new Random(seedOf(bytes))), name: "c" };
      await fetchCheckpoint(from, directory, BYTES_MAX, never);
      const sizes = files.map(({ name, sizeBytes }) => `${name} ${sizeBytes}`);
      const made = listIfPresent(directory).map(({ name, isFile }) => {
        assert(isFile, name);
        return `${name} ${Deno.lstatSync(`${directory}/${name}`).size}`;
      });
      assert.deepEqual(made.sort(), sizes.sort());
      return `${made.length} files`;
    } catch (error) {
      assert(!isThere(directory), `${error} left ${listIfPresent(directory).length} files`);
      throw error;
    } finally {
      const beside = listIfPresent(outer).map(({ name }) => name);
      Deno.removeSync(outer, { recursive: true });
      assert(beside.every((name) => name === "files"), beside.join(" "));
    }
  },
  // A name that comes twice exists already.
  refuses: (error) =>
    error instanceof GuestError && error.kind === "hostile" ||
    error instanceof Deno.errors.AlreadyExists,
};

fuzz(checkpoint);
