import assert from "node:assert/strict";
import { MemoryStream } from "./testing/memory_stream.ts";
import { QmpClient } from "./qmp.ts";
import type { QmpEvent } from "./qmp_decoder.ts";

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 1, "major": 11}}}}\r\n';

/** A QEMU that answers each command with `answer`, or not at all if that is undefined. */
function qemu(answer: (command: { execute: string; id: number }) => unknown): MemoryStream {
  const stream = new MemoryStream();
  stream.onWrite = (text) => {
    const command = JSON.parse(text);
    const reply = command.execute === "qmp_capabilities" ? { return: {} } : answer(command);
    if (reply !== undefined) stream.give(JSON.stringify({ ...reply, id: command.id }) + "\r\n");
  };
  stream.give(GREETING);
  return stream;
}

Deno.test("QmpClient reads the greeting, negotiates, runs commands and reports events", async () => {
  const events: QmpEvent[] = [];
  const stream = qemu(({ execute }) => ({ return: { ran: execute } }));
  await using qmp = await QmpClient.connect(stream, { onEvent: (event) => events.push(event) });
  assert.equal(qmp.version, "11.1.2");
  stream.give('{"event": "RESET", "data": {}}\n');
  assert.deepEqual(await qmp.execute("query-status", { a: 1 }), { ran: "query-status" });
  assert.deepEqual(JSON.parse(stream.written[1]!), {
    execute: "query-status",
    arguments: { a: 1 },
    id: 2,
  });
  assert.deepEqual(events.map(({ name }) => name), ["RESET"]);
});

Deno.test("answers reach their commands in any order", async () => {
  const stream = qemu(() => undefined);
  await using qmp = await QmpClient.connect(stream);
  const first = qmp.execute("a");
  const second = qmp.execute("b");
  stream.give('{"return": "second", "id": 3}\n{"return": "first", "id": 2}\n');
  assert.deepEqual(await Promise.all([first, second]), ["first", "second"]);
});

Deno.test("execute's error names the command and QEMU's reason", async () => {
  const stream = qemu(() => ({ error: { class: "GenericError", desc: "no such thing" } }));
  await using qmp = await QmpClient.connect(stream);
  await assert.rejects(qmp.execute("frob"), {
    kind: "protocol",
    message: "qemu refused QMP command frob: no such thing (GenericError)",
  });
});

Deno.test("when QEMU closes the connection, pending and later commands fail", async () => {
  const stream = qemu(() => undefined);
  await using qmp = await QmpClient.connect(stream);
  const pending = qmp.execute("stop");
  stream.end();
  await assert.rejects(pending, { kind: "protocol", message: /ended: qemu closed it/ });
  await assert.rejects(qmp.execute("cont"), { kind: "protocol" });
  await qmp.closed;
  assert(stream.closed);
});

Deno.test("bytes that are not QMP close the connection", async () => {
  const stream = new MemoryStream();
  stream.give("SSH-2.0-OpenSSH\r\n");
  await assert.rejects(QmpClient.connect(stream), { kind: "protocol", message: /not a QMP/ });
  assert(stream.closed);
});

Deno.test("execute times out, and the late answer reaches no other command", async () => {
  const stream = qemu(({ execute }) => execute === "quick" ? { return: 1 } : undefined);
  await using qmp = await QmpClient.connect(stream);
  await assert.rejects(qmp.execute("slow", undefined, { timeoutMs: 1 }), {
    kind: "timeout",
    message: "qemu did not answer QMP command slow within 1 ms",
  });
  stream.give('{"return": "late", "id": 2}\n');
  assert.equal(await qmp.execute("quick"), 1);
});

Deno.test("aborting connect and execute rejects them", async () => {
  const stream = qemu(() => undefined);
  await using qmp = await QmpClient.connect(stream);
  const controller = new AbortController();
  const call = qmp.execute("slow", undefined, { signal: controller.signal });
  controller.abort();
  await assert.rejects(call, { kind: "cancelled" });
  await assert.rejects(QmpClient.connect(new MemoryStream(), { signal: controller.signal }), {
    kind: "cancelled",
  });
});

Deno.test("connect times out without a greeting, and closes the stream", async () => {
  const stream = new MemoryStream();
  await assert.rejects(QmpClient.connect(stream, { timeoutMs: 1 }), { kind: "timeout" });
  assert(stream.closed);
});
