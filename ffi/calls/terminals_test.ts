import assert from "node:assert/strict";
import { poller } from "../poller.ts";
import { system } from "../real_system.ts";
import type { Fd } from "../system.ts";
import { isSystemError } from "../system_error.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function readSome(fd: Fd): Promise<string> {
  await poller.wait(fd, "readable");
  const into = new Uint8Array(64);
  return text(into.subarray(0, system.read(fd, into)!));
}

Deno.test("a terminal delivers its last byte before its end", async () => {
  const { master, slave } = system.openTerminal();
  assert.equal(system.fileType(slave), "character");
  system.write(slave, bytes("out\n"));
  assert.equal(await readSome(master), "out\r\n");
  system.write(master, bytes("in\n"));
  const into = new Uint8Array(64);
  assert.equal(text(into.subarray(0, system.read(slave, into)!)), "in\n");
  assert.equal(await readSome(master), "in\r\n"); // the echo

  system.write(slave, bytes("last"));
  system.close(slave);
  assert.equal(await readSome(master), "last");
  assert.throws(() => system.read(master, into), (error) => isSystemError(error, "EIO"));
  system.close(master);
});

Deno.test("master and slave share the window size", () => {
  const { master, slave } = system.openTerminal();
  assert.deepEqual(system.windowSize(slave), { rows: 0, columns: 0 });
  system.setWindowSize(master, { rows: 24, columns: 65_535 });
  assert.deepEqual(system.windowSize(slave), { rows: 24, columns: 65_535 });
  system.close(master);
  system.close(slave);
});

Deno.test("a raw terminal drops earlier input, and passes the rest unchanged without an echo", async () => {
  const { master, slave } = system.openTerminal();
  system.write(master, bytes("earlier"));
  await readSome(master); // the echo
  system.makeRaw(slave);
  const control = "a\u0003\u0004\r\n\u0011b";
  system.write(master, bytes(control));
  const into = new Uint8Array(64);
  assert.equal(text(into.subarray(0, system.read(slave, into)!)), control);
  system.write(slave, bytes("out\n"));
  assert.equal(await readSome(master), "out\r\n");
  system.close(master);
  system.close(slave);
});

Deno.test("windowSize fails with ENOTTY on a file that is not a terminal", () => {
  const { read, write } = system.pipe();
  assert.throws(() => system.windowSize(read), (error) => isSystemError(error, "ENOTTY"));
  system.close(read);
  system.close(write);
});
