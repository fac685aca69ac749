import assert from "node:assert/strict";
import { Checkpoints, READ_BYTES_MAX } from "./checkpoints.ts";
import { refused } from "../testing/task_guest.ts";
import { Code, type guest } from "../../proto/mod.ts";

type Read = Omit<guest.ReadCheckpointRequest, "$typeName">;
type Write = Omit<guest.WriteCheckpointRequest, "$typeName">;

/** Runs a test with its own checkpoints directory. */
function withCheckpoints(
  run: (checkpoints: Checkpoints, root: string) => void | Promise<void>,
): () => Promise<void> {
  return async () => {
    const directory = await Deno.makeTempDir();
    try {
      await run(new Checkpoints(`${directory}/checkpoints`), `${directory}/checkpoints`);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  };
}

const read = (checkpoints: Checkpoints, request: Read) => checkpoints.read(request as never);
const write = (checkpoints: Checkpoints, request: Write) => checkpoints.write(request as never);
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test(
  "a file written in parts is read in parts",
  withCheckpoints((checkpoints) => {
    const at = { name: "c", file: "pages-1.img" };
    write(checkpoints, { ...at, offsetBytes: 0n, data: bytes("hello ") });
    write(checkpoints, { ...at, offsetBytes: 6n, data: bytes("world") });
    write(checkpoints, { name: "c", file: "empty", offsetBytes: 0n, data: bytes("") });
    assert.deepEqual(checkpoints.list("c").sort((a, b) => a.name < b.name ? -1 : 1), [
      { name: "empty", sizeBytes: 0n },
      { name: "pages-1.img", sizeBytes: 11n },
    ]);
    const part = read(checkpoints, { ...at, offsetBytes: 4n, lengthBytes: 4 });
    assert.equal(new TextDecoder().decode(part), "o wo");
    assert.equal(read(checkpoints, { ...at, offsetBytes: 11n, lengthBytes: 4 }).length, 0);
    write(checkpoints, { ...at, offsetBytes: 0n, data: new Uint8Array(READ_BYTES_MAX + 5) });
    const most = read(checkpoints, { ...at, offsetBytes: 0n, lengthBytes: 2 ** 32 - 1 });
    assert.equal(most.length, READ_BYTES_MAX);
  }),
);

Deno.test(
  "a name is taken by create and free again after delete",
  withCheckpoints((checkpoints, root) => {
    assert.equal(checkpoints.create("c"), `${root}/c`);
    assert.throws(() => checkpoints.create("c"), refused(Code.AlreadyExists, /"c" already exists/));
    checkpoints.delete("c");
    checkpoints.delete("c");
    assert.throws(
      () => checkpoints.list("c"),
      refused(Code.FailedPrecondition, /no checkpoint "c"/),
    );
    checkpoints.create("c");
  }),
);

Deno.test(
  "no name leads out of the directory",
  withCheckpoints((checkpoints) => {
    const bad = ["", ".", "..", "../c", "a/b", "/c", "-c", "c\n", "x".repeat(256)];
    for (const name of bad) {
      const no = refused(Code.InvalidArgument, /invalid checkpoint (file )?name ".*"/);
      assert.throws(() => checkpoints.create(name), no);
      assert.throws(() => checkpoints.delete(name), no);
      const data = bytes("x");
      assert.throws(() => write(checkpoints, { name, file: "f", offsetBytes: 0n, data }), no);
      assert.throws(() => write(checkpoints, { name: "c", file: name, offsetBytes: 0n, data }), no);
    }
  }),
);
