/** Clients and a running container: exec processes, terminals, pause, metrics. */

import assert from "node:assert/strict";
import { BUSYBOX, Client, ctr, ctrOk, runArguments, RUNTIME, task } from "../lib/ctr.ts";
import { killChild } from "../lib/kill_child.ts";
import { patience, until, within } from "../lib/wait.ts";
import { e2e } from "../lib/testbed.ts";

const SHOWN_WITHIN_MS = patience(60_000);
const FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"];

e2e("ctr runs exec processes in a container, pauses it and reads its metrics", async (bench) => {
  const id = bench.newId();
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d", "--null-io"] }));
  const exec = (execId: string, ...command: string[]) => [
    ...["task", "exec", "--exec-id", execId, id, ...command],
  ];

  const { code, stdout, stderr } = await ctr(
    ...exec("a", "sh", "-c", "echo hi; echo oh >&2; exit 3"),
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 3, stdout: "hi\n", stderr: "oh\n" });

  await using typing = new Client(exec("b", "cat"), { input: true });
  await typing.write("typed\n");
  await typing.line("typed");
  assert.match(await ctrOk("task", "ps", id), /exec_id:"b"|"exec_id":"b"|\bb\b/);
  await typing.endInput();
  assert.equal((await typing.ended).code, 0);

  const missing = await ctr(...exec("c", "no-such-command"));
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /executable file not found in \$PATH|no such file or directory/i);
  assert.equal((await ctr(...exec("c", "true"))).code, 0);

  await ctrOk("task", "pause", id);
  assert.equal((await task(id))?.status, "PAUSED");
  await ctrOk("task", "resume", id);
  assert.equal((await task(id))?.status, "RUNNING");

  const metrics = JSON.parse(await ctrOk("task", "metrics", "--format", "json", id));
  assert.match(JSON.stringify(metrics), /"usage/i);
  const table = await ctrOk("task", "metrics", id);
  for (const name of ["memory", "cpu", "pids"]) assert.match(table, new RegExp(`^${name}\\.`, "m"));

  const terminal = new Terminal(["task", "exec", "--exec-id", "d", "-t", id, "sh"]);
  await terminal.use(async () => {
    await terminal.type("echo ter${nothing}minal; exit 4\n");
    await terminal.shows("terminal");
    assert.equal(await terminal.ended, 4);
  });

  await ctrOk("task", "kill", id);
  await until(
    "exit of the container",
    SHOWN_WITHIN_MS,
    async () => (await task(id))?.status === "STOPPED" || null,
  );
  await ctrOk("task", "rm", id);
  await ctrOk("containers", "rm", id);
});

e2e("ctr run -t has a size, Ctrl-C and the exit status of its shell", async (bench) => {
  const flags = ["run", "--rm", "-t", "--runtime", RUNTIME, BUSYBOX, bench.newId(), "sh"];
  const terminal = new Terminal(flags, { rows: 33, columns: 111 });
  await terminal.use(async () => {
    // ctr sets the size once the task has started, maybe after the shell.
    await terminal.type('until stty size 2>/dev/null | grep "33 111"; do sleep 0.1; done\n');
    await terminal.type("echo si${nothing}ze: $(stty size)\n");
    await terminal.shows("size: 33 111");
    await terminal.type("echo a; sleep 1000; echo be${nothing}yond\n");
    await terminal.shows("a\r\r\n");
    await terminal.type("\x03");
    await terminal.type("echo ali${nothing}ve; exit 6\n");
    await terminal.shows("alive");
    assert.equal(await terminal.ended, 6);
    assert.ok(!terminal.text.includes("beyond"), terminal.text);
  });
});

/** A `ctr` at a terminal made by script(1). */
class Terminal {
  readonly #process: Deno.ChildProcess;
  readonly #keyboard: WritableStreamDefaultWriter<Uint8Array>;
  readonly ended: Promise<number>;
  text = "";
  #more = Promise.withResolvers<void>();

  constructor(args: readonly string[], { rows = 24, columns = 80 } = {}) {
    const command = `stty rows ${rows} cols ${columns}; exec ctr ${args.join(" ")}`;
    this.#process = new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", command, "/dev/null"],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#keyboard = this.#process.stdin.getWriter();
    this.ended = this.#read();
  }

  async type(text: string): Promise<void> {
    await this.#keyboard.write(new TextEncoder().encode(text));
  }

  async shows(text: string): Promise<void> {
    const wait = async () => {
      while (!this.text.includes(text)) await this.#more.promise;
    };
    await within(`${text} on the terminal`, SHOWN_WITHIN_MS, wait()).catch((error) => {
      throw new Error(`${error.message}; there was ${JSON.stringify(this.text)}`);
    });
  }

  /** Runs `work`, and then kills ctr if it still runs. */
  async use(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } finally {
      killChild(this.#process);
      await this.ended;
      await this.#keyboard.close().catch(() => {});
    }
  }

  async #read(): Promise<number> {
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      this.text += text;
      this.#more.resolve();
      this.#more = Promise.withResolvers();
    }
    return (await this.#process.status).code;
  }
}
