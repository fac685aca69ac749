import assert from "node:assert/strict";
import { type Fd, system } from "../ffi/mod.ts";
import { makeConsoleInput } from "./console_input.ts";

const bytes = new TextEncoder().encode("secret");

/** Makes an input; `reader` is QEMU's end. */
function inputAndReader() {
  const owned: Fd[] = [];
  const input = makeConsoleInput(system, bytes, (fd) => owned.push(fd));
  assert.deepEqual(Object.values(input.fds), owned);
  return { input, reader: owned[0]! };
}

Deno.test("QEMU reads the input, and then its end", () => {
  const { input, reader } = inputAndReader();
  using _input = input;
  input.send();
  const into = new Uint8Array(64);
  assert.equal(system.read(reader, into), bytes.length);
  assert.deepEqual(into.subarray(0, bytes.length), bytes);
  assert.equal(system.read(reader, into), 0);
  system.close(reader);
});

Deno.test("a QEMU that has exited is no error of the input", () => {
  const { input, reader } = inputAndReader();
  system.close(reader);
  input.send();
  input[Symbol.dispose]();
});

Deno.test("an input that is never sent ends when it is disposed", () => {
  const { input, reader } = inputAndReader();
  input[Symbol.dispose]();
  assert.equal(system.read(reader, new Uint8Array(1)), 0);
  system.close(reader);
});

Deno.test("without bytes QEMU gets no descriptor", () => {
  using input = makeConsoleInput(system, undefined, () => assert.fail());
  assert.deepEqual(input.fds, {});
  input.send();
});
