/** Terminals of a container's init and of execs, used as a person does. */

import assert from "node:assert/strict";
import { Box, type Exec, type Stdio } from "./box.ts";
import { patience, within } from "../lib/wait.ts";
import { conformance } from "./conformance.ts";

const CTRL_C = "\x03", CTRL_D = "\x04";

conformance("terminals", async (host, t) => {
  const streams = { stdin: true, stdout: true };
  await using box = await Box.create(host, ["sh"], { terminal: true, streams });
  const { id, task } = box;
  // A client sets the size of its window as soon as it can.
  await task.resizePty({ id, width: 132, height: 43 });
  await box.start();
  await using exec = await box.exec(["sh"], { terminal: true, streams });
  const { execId } = exec;
  await exec.start();

  await session(t, box, { name: "init", execId: "", stdio: box.stdio });
  await session(t, box, { name: "exec", execId, stdio: exec.stdio });
  await programs(t, exec);
  await exits(t, box, exec);
});

/** A process with a terminal. */
interface Side {
  readonly name: string;
  /** Empty for the init. */
  readonly execId: string;
  readonly stdio: Stdio;
}

async function session(
  t: Deno.TestContext,
  { id, task }: Box,
  { name, execId, stdio }: Side,
): Promise<void> {
  const keyboard = stdio.writer();

  await t.step(`${name} has a terminal, which is one stream`, async () => {
    await keyboard.write("tty; echo $((6 * 7)) >&2\n");
    await stdio.shows(/\/dev\/(pts\/\d|console)/);
    await stdio.shows("42\r\n");
    assert.equal((await task.state({ id, execId })).terminal, true);
  });

  await t.step(`a resize reaches the process of ${name}`, async () => {
    await task.resizePty({ id, execId, width: 100, height: 30 });
    await keyboard.write("echo now: $(stty size)\n");
    await stdio.shows("now: 30 100");
    // The signal may come before `wait` has begun, which then has nothing to wait for.
    const script = 'sleep 1000 & trap "stty size; kill $!" WINCH; echo asle${nothing}ep; wait';
    await keyboard.write(`sh -c '${script}'\n`);
    await stdio.shows("asleep\r\n");
    await task.resizePty({ id, execId, width: 81, height: 26 });
    await stdio.shows("\r\n26 81\r\n");
  });

  await t.step(`Ctrl-C reaches the foreground process of ${name}`, async () => {
    // Output proves that the command is forked and in the foreground: a shell that is about to fork
    // may take the signal itself, and the child never gets it (busybox's does, once in a hundred
    // times).
    const script = "tail -f /tmp/begun; echo be${nothing}yond";
    await keyboard.write(`echo begun >/tmp/begun; sh -c '${script}'\n`);
    await stdio.shows("begun\r\n");
    await keyboard.write(CTRL_C);
    await keyboard.write("echo ali${nothing}ve\n");
    await stdio.shows("alive\r\n");
    assert.ok(!stdio.text.includes("beyond"), stdio.text);
  });

  await t.step(`a client that leaves does not hang up ${name}`, async () => {
    await keyboard.detach();
    const next = stdio.writer();
    await next.write("echo ba${nothing}ck\n");
    await stdio.shows("back\r\n");
    await next.detach();
  });
}

async function programs(t: Deno.TestContext, exec: Exec): Promise<void> {
  await t.step("a full-screen program draws and exits", async () => {
    const keyboard = exec.stdio.writer();
    await keyboard.write("vi /tmp/text\n");
    await exec.stdio.shows("\x1b[");
    // An escape followed at once by something is the beginning of a key's sequence.
    await keyboard.write("ihello\x1b");
    await exec.stdio.shows("- /tmp/text [Modified]");
    await keyboard.write(":wq\n");
    await exec.stdio.shows("1L, ");
    await keyboard.write("cat /tmp/te${nothing}xt | tr l L\n");
    await exec.stdio.shows("heLLo");
    await keyboard.detach();
  });

  await t.step("top and less take single keys", async () => {
    const keyboard = exec.stdio.writer();
    await keyboard.write("top; echo t${nothing}op is over\n");
    await exec.stdio.shows("Load average:");
    await keyboard.write("q");
    await exec.stdio.shows("top is over\r\n");
    await keyboard.write(
      "seq 1000 1$((990 + 9)) >/tmp/numbers; less /tmp/numbers; echo le${nothing}ss is over\n",
    );
    await exec.stdio.shows("1000\r\n");
    assert.ok(!exec.stdio.text.includes("1999"));
    await keyboard.write("G");
    await exec.stdio.shows("1999");
    await keyboard.write("q");
    await exec.stdio.shows("less is over\r\n");
    await keyboard.detach();
  });
}

async function exits(t: Deno.TestContext, box: Box, exec: Exec): Promise<void> {
  const { id, task } = box;
  await t.step("a session ends with its exit status and all of its output", async () => {
    const keyboard = exec.stdio.writer();
    await keyboard.write("head -c 300000 /dev/zero | tr '\\0' x; exit 5\n");
    const { status, stdout } = await exec.outcome();
    assert.equal(status, 5);
    assert.equal(stdout.match(/x{1000,}/)?.[0].length, 300_000);
    await keyboard.kill();
    const last = box.stdio.writer();
    await last.write(CTRL_D);
    const exit = within("exit of the init", patience(60_000), task.wait({ id }));
    assert.equal((await exit).exitStatus, 0);
    await last.kill();
  });
}
