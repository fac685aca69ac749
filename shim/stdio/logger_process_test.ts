import assert from "node:assert/strict";
import fc from "fast-check";
import { processStartTime } from "../../ffi/mod.ts";
import { type RefusalKind, RefusedError } from "../base/refused_error.ts";
import { loggerCommand, LoggerProcess } from "./logger_process.ts";
import { openOutputs } from "./open_outputs.ts";
import { temporaryFolder } from "../testing/test_support.ts";

const never = { signal: new AbortController().signal };
const bytes = (text: string) => new TextEncoder().encode(text);

/** Makes a program of a script, in a directory that is removed at the end of the scope. */
function program(script: string) {
  const directory = temporaryFolder();
  const path = `${directory.path}/logger`;
  Deno.writeTextFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return {
    address: `binary://${path}`,
    log: `${directory.path}/log`,
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

Deno.test("keys and values of the address become arguments", () => {
  assert.deepEqual(loggerCommand("binary:///usr/bin/a%20b?--file=/x/y&--flag=&--file=/z"), {
    path: "/usr/bin/a b",
    args: ["--file", "/x/y", "--flag"],
  });
  for (const address of ["binary://host/x", "binary:x", "binary:///%zz", "binary://"]) {
    assert.throws(() => loggerCommand(address), {
      kind: "invalid",
      message: `stdio "${address}" must name a program by its absolute path`,
    });
  }
});

Deno.test("any address is parsed into a program's absolute path, or refused", () => {
  const start = fc.constantFrom("binary://", "binary:///", "binary:///x?", "binary:", "");
  fc.assert(fc.property(start, fc.string(), (scheme, rest) => {
    try {
      assert.ok(loggerCommand(scheme + rest).path.startsWith("/"), scheme + rest);
    } catch (error) {
      assert.ok(error instanceof RefusedError, String(error));
    }
  }));
});

Deno.test("one logger gets both streams to their last byte, and the container's id and namespace", async () => {
  using logger = program(`
    exec 5>&-
    cat <&4 >$2.err &
    cat <&3 >$2
    wait
    echo "$CONTAINER_NAMESPACE/$CONTAINER_ID" >>$2`);
  const address = `${logger.address}?--to=${logger.log}`;
  const outputs = await openOutputs(
    { stdout: address, stderr: address },
    { CONTAINER_ID: "c1", CONTAINER_NAMESPACE: "ns" },
  );
  const big = new Uint8Array(300_000).fill(97);
  for (const { kind, target } of outputs.targets) {
    await target.write(kind === "stdout" ? big : bytes("oops"), never);
    target[Symbol.dispose]();
  }
  await outputs.end();
  assert.equal(Deno.readTextFileSync(logger.log), "a".repeat(300_000) + "ns/c1\n");
  assert.equal(Deno.readTextFileSync(`${logger.log}.err`), "oops");
});

Deno.test("a logger gets an empty stream for one that it was not started for", async () => {
  using logger = program(`exec 5>&-; cat <&4 >$2; echo end >>$2`);
  const address = `${logger.address}?-o=${logger.log}`;
  const { targets, end } = await openOutputs({ stdout: address, stderr: "" }, {});
  assert.deepEqual(targets.map(({ kind }) => kind), ["stdout"]);
  await end();
  assert.equal(Deno.readTextFileSync(logger.log), "end\n");
});

Deno.test("a logger that does not exit gets SIGTERM, then SIGKILL", async () => {
  using logger = program(`exec 5>&-; trap '' TERM; sleep 1000 & wait; wait`);
  const started = await LoggerProcess.start(logger.address, ["stdout"], {});
  assert.notEqual(processStartTime(started.pid), null);
  await Promise.all([started.end(1, 20), started.end()]);
  assert.equal(processStartTime(started.pid), null);
});

Deno.test("a logger that cannot be started, or is never ready, is refused by its name", async () => {
  const refused = (kind: RefusalKind, message: RegExp) => (error: unknown) =>
    error instanceof RefusedError && error.kind === kind && message.test(error.message);
  await assert.rejects(
    openOutputs({ stdout: "binary:///no/such/logger", stderr: "" }, {}),
    refused("invalid", /^logger \/no\/such\/logger cannot be started: .*ENOENT/),
  );
  using logger = program("exec sleep 1000");
  await assert.rejects(
    LoggerProcess.start(logger.address, ["stdout"], {}, 20),
    refused("timeout", /\/logger did not close descriptor 5 within 0\.02 s to report ready$/),
  );
});
