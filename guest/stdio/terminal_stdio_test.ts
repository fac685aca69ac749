import assert from "node:assert/strict";
import { delay } from "../../base/mod.ts";
import { type Fd, poller, system } from "../../ffi/mod.ts";
import { FrameReader, FrameWriter } from "../../proto/mod.ts";
import { type DialedStream, DialedStreams, readText } from "../testing/dialed_streams.ts";
import { StreamRegistry } from "./stream_registry.ts";
import { TerminalStdio } from "./terminal_stdio.ts";

const IDS = { stdin: "c/stdin", stdout: "c/stdout" };

/** Runs a test with a TerminalStdio in a directory of its own. Checks that no descriptor leaks. */
async function withTerminal(
  run: (terminal: {
    readonly stdio: TerminalStdio;
    /** Creates a terminal and sends its master, like crun. Returns the process's side. */
    readonly send: () => Fd;
    readonly dial: (id: string) => Promise<DialedStream>;
    readonly served: Promise<void>[];
  }) => Promise<void>,
  ids: typeof IDS = IDS,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  const before = openDescriptors();
  const streams = new StreamRegistry();
  const stdio = new TerminalStdio({ system, poller, streams }, ids, `${directory}/console`);
  const { dial, served } = new DialedStreams(streams);
  const send = (): Fd => {
    const { master, slave } = system.openTerminal();
    const socket = system.connectUnix(stdio.consoleSocket);
    system.sendFds(socket, new TextEncoder().encode("/dev/pts/0"), [master]);
    system.close(socket);
    system.close(master);
    return slave;
  };
  await run({ stdio, send, dial, served });
  stdio[Symbol.dispose]();
  await Promise.all(served);
  assert.deepEqual([...Deno.readDirSync(directory)], []);
  await Deno.remove(directory);
  assert.ok(openDescriptors() <= before + 2); // epoll and its eventfd
}

function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test("input and output pass through the terminal, and the output ends with the process", () =>
  withTerminal(async ({ stdio, send, dial, served }) => {
    // Dialed before the terminal exists, as the host does for an exec.
    const input = new FrameWriter(await dial(IDS.stdin));
    const output = readText(new FrameReader(await dial(IDS.stdout)));
    await input.write(new TextEncoder().encode("hi\n"));
    const slave = send();
    stdio.created();
    await poller.wait(slave, "readable");
    const buffer = new Uint8Array(8);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, system.read(slave, buffer)!)), "hi\n");
    stdio.closeInput(); // no hang-up
    await input.end();
    await served[0];
    system.write(slave, new TextEncoder().encode("bye\n"));
    system.close(slave);
    stdio.exited();
    assert.equal(await output, "hi\r\nbye\r\n");
  }));

Deno.test("output ends with the process, even if another process has the terminal open", () =>
  withTerminal(async ({ stdio, send, dial }) => {
    const slave = send();
    stdio.created();
    system.write(slave, new TextEncoder().encode("late"));
    stdio.exited();
    assert.equal(await readText(new FrameReader(await dial(IDS.stdout))), "late");
    system.close(slave);
  }));

Deno.test("a window size set early is kept for the terminal", () =>
  withTerminal(({ stdio, send }) => {
    stdio.resize({ rows: 24, columns: 80 });
    const slave = send();
    stdio.created();
    assert.deepEqual(system.windowSize(slave), { rows: 24, columns: 80 });
    stdio.resize({ rows: 50, columns: 132 });
    assert.deepEqual(system.windowSize(slave), { rows: 50, columns: 132 });
    system.close(slave);
    stdio.exited();
    stdio.resize({ rows: 1, columns: 1 }); // no effect
    return Promise.resolve();
  }));

Deno.test("output without a stream does not block the process", () =>
  withTerminal(async ({ stdio, send }) => {
    const slave = send();
    stdio.created();
    const line = new TextEncoder().encode("x".repeat(1023) + "\n");
    system.setNonblock(slave, true);
    for (let written = 0; written < 1 << 17;) {
      await poller.wait(slave, "writable");
      written += system.write(slave, line) ?? 0;
    }
    system.close(slave);
    stdio.exited();
    await delay(50);
  }, { stdin: "", stdout: "" }));

Deno.test("the streams of a process that was never created end", () =>
  withTerminal(async ({ stdio, dial }) => {
    const output = readText(new FrameReader(await dial(IDS.stdout)));
    const input = await dial(IDS.stdin);
    assert.throws(() => stdio.created(), /crun sent no terminal: .*EAGAIN/);
    stdio.exited();
    assert.equal(await output, "");
    assert.equal(await input.read(new Uint8Array(1)), null);
  }));

Deno.test("a message without a terminal is an error", () =>
  withTerminal(({ stdio }) => {
    const socket = system.connectUnix(stdio.consoleSocket);
    system.sendFds(socket, Uint8Array.of(0), []);
    system.close(socket);
    assert.throws(() => stdio.created(), /crun sent no terminal: .*ENODATA/);
    return Promise.resolve();
  }));
