import assert from "node:assert/strict";
import fc from "fast-check";
import { VmError } from "./error.ts";
import { parseQmpLine, QMP_LINE_BYTES_MAX, QmpDecoder } from "./qmp_decoder.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 1, "major": 11}}, "capabilities": ["oob"]}}';

Deno.test("parseQmpLine decodes each kind of message", () => {
  assert.deepEqual(parseQmpLine(GREETING), { kind: "greeting", version: "11.1.2" });
  assert.deepEqual(parseQmpLine('{"return": {"a": 1}, "id": 7}'), {
    kind: "return",
    id: 7,
    value: { a: 1 },
  });
  assert.deepEqual(
    parseQmpLine('{"error": {"class": "CommandNotFound", "desc": "no x"}, "id": 8}'),
    { kind: "error", id: 8, class: "CommandNotFound", description: "no x" },
  );
  assert.deepEqual(
    parseQmpLine('{"event": "SHUTDOWN", "data": {"reason": "guest-reset"}, "timestamp": {}}'),
    { kind: "event", name: "SHUTDOWN", data: { reason: "guest-reset" } },
  );
});

Deno.test("a version that is not made of integers is unknown", () => {
  const nested = "[".repeat(100_000) + "]".repeat(100_000);
  for (const major of [`"${"x".repeat(1000)}"`, '{"toString":1,"valueOf":1}', nested, "null"]) {
    const greeting = GREETING.replace('"major": 11', `"major": ${major}`);
    assert.deepEqual(parseQmpLine(greeting), { kind: "greeting", version: "unknown" });
  }
});

Deno.test("the text of an error is printable and bounded", () => {
  const error = { class: "\u001b[31mGenericError\n", desc: "x\u0007".repeat(1000) };
  const message = parseQmpLine(JSON.stringify({ error, id: 9 }));
  assert(message.kind === "error");
  assert.equal(message.class, "GenericError");
  assert.equal(message.description, "x ".repeat(250) + "…");
});

Deno.test("QmpDecoder yields messages whole and in order, wherever they are split", () => {
  const message = fc.record({ return: fc.jsonValue(), id: fc.nat() });
  fc.assert(fc.property(
    fc.array(message),
    fc.constantFrom("\n", "\r\n", "\r\n\r\n"),
    fc.integer({ min: 1, max: 64 }),
    (messages, newline, size) => {
      const all = bytes(messages.map((one) => JSON.stringify(one) + newline).join(""));
      const decoder = new QmpDecoder();
      const got: unknown[] = [];
      for (let at = 0; at < all.length; at += size) {
        for (const one of decoder.push(all.subarray(at, at + size))) {
          assert(one.kind === "return");
          got.push({ return: one.value, id: one.id });
        }
      }
      assert.deepEqual(got, JSON.parse(JSON.stringify(messages)));
    },
  ));
});

Deno.test("hostile bytes give messages or a protocol error, never anything else", () => {
  const hostile = fc.oneof(
    fc.uint8Array(),
    fc.json().map((text) => bytes(text + "\n")),
    fc.constantFrom('{"QMP":1}\n', '{"error":{}}\n', '{"event":{}}\n', '{"return":1}\n').map(bytes),
  );
  fc.assert(fc.property(fc.array(hostile), (chunks) => {
    const decoder = new QmpDecoder();
    try {
      for (const chunk of chunks) for (const one of decoder.push(chunk)) assert(one.kind);
    } catch (error) {
      assert(error instanceof VmError && error.kind === "protocol");
    }
  }));
});

Deno.test("a line without an end is refused at the limit", () => {
  const decoder = new QmpDecoder();
  const chunk = bytes("x".repeat(64 * 1024));
  assert.throws(() => {
    for (let sent = 0; sent <= QMP_LINE_BYTES_MAX; sent += chunk.length) {
      for (const _ of decoder.push(chunk));
    }
  }, { kind: "protocol", message: /more than 1048576 bytes/ });
});
