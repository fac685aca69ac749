import assert from "node:assert/strict";
import { FrameReader, FrameWriter } from "../../proto/mod.ts";
import { Machine } from "./machine.ts";

const ignore = Deno.env.get("QEMUBOX_TESTBED") !== "1";
/** How long a text may take to appear on a terminal; a busy machine under TCG is slow. */
const APPEAR_TIMEOUT_MS = 30_000;

/** Somebody at the terminal of a process. */
class Typist {
  readonly #input: FrameWriter;
  readonly #output: FrameReader;
  /** What the terminal showed. */
  shown = "";

  private constructor(input: FrameWriter, output: FrameReader) {
    this.#input = input;
    this.#output = output;
  }

  static async dial(machine: Machine, process: string): Promise<Typist> {
    const input = new FrameWriter(await machine.dial(`${process}/stdin`));
    return new Typist(input, new FrameReader(await machine.dial(`${process}/stdout`)));
  }

  async type(text: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(text));
  }

  /** Ends the stream of what is typed. */
  async leave(): Promise<void> {
    await this.#input.end();
  }

  /** Waits until the terminal shows `text`, and forgets what came before its end. */
  async sees(text: string): Promise<void> {
    const late = Promise.withResolvers<never>();
    const deadline = setTimeout(
      () => late.reject(new Error(`${JSON.stringify(this.shown)} has no ${text}`)),
      APPEAR_TIMEOUT_MS,
    );
    try {
      while (!this.shown.includes(text)) {
        const more = await Promise.race([this.#more(), late.promise]);
        assert.ok(more, `it ended after ${JSON.stringify(this.shown)}`);
      }
    } finally {
      clearTimeout(deadline);
    }
    this.shown = this.shown.slice(this.shown.indexOf(text) + text.length);
  }

  /** What is shown until the end. */
  async rest(): Promise<string> {
    while (await this.#more());
    return this.shown;
  }

  async #more(): Promise<boolean> {
    const chunk = await this.#output.read();
    if (chunk !== null) this.shown += new TextDecoder().decode(chunk);
    return chunk !== null;
  }
}

Deno.test({
  name: "terminals in a machine",
  ignore,
  fn: async (t) => {
    await using machine = await Machine.boot();
    const { task } = machine;

    await t.step("a shell at a container's terminal: sizes, Ctrl-C, exit", async () => {
      await machine.create("c", ["sh"], "io", { terminal: true });
      await task.resizePty({ id: "c", width: 80, height: 24 });
      const typist = await Typist.dial(machine, "c/init");
      await task.start({ id: "c" });
      await typist.type("tty; stty size\n");
      await typist.sees("/dev/pts/0\r\n24 80\r\n");

      await typist.type("trap 'echo resized' WINCH\n");
      await task.resizePty({ id: "c", width: 132, height: 50 });
      await typist.type("stty size\n");
      await typist.sees("50 132\r\n");

      await typist.type("sh -c 'echo asleep; exec sleep 1000'\n");
      await typist.sees("asleep\r\n"); // before that, the shell would take the Ctrl-C
      await typist.type("\x03");
      await typist.type("echo interrupted $?\n");
      await typist.sees("interrupted 130\r\n");
      assert.equal((await task.state({ id: "c" })).terminal, true);
      await task.closeIO({ id: "c", stdin: true }); // no hang-up
      await typist.type("exit 7\n");
      assert.match(await typist.rest(), /exit 7/);
      assert.equal((await task.wait({ id: "c" })).exitStatus, 7);
      await assert.rejects(task.resizePty({ id: "c", width: 1, height: 1 }), /it is stopped/);
      await machine.delete("c");
    });

    await machine.create("c", ["sleep", "1000"]);
    await task.start({ id: "c" });

    await t.step("an added process has a terminal of its own, of the size asked for", async () => {
      await machine.exec("c", "e", ["sh", "-c", "stty size; tty; read line; echo got $line"], {
        io: "io",
        terminal: true,
      });
      const typist = await Typist.dial(machine, "c/e");
      await task.resizePty({ id: "c", execId: "e", width: 100, height: 30 });
      await task.start({ id: "c", execId: "e" });
      await typist.sees("30 100\r\n/dev/pts/0\r\n");
      await typist.type("abc\n");
      await typist.leave();
      await typist.sees("got abc\r\n");
      assert.equal(await typist.rest(), "");
      assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, 0);
      await task.delete({ id: "c", execId: "e" });
    });

    await t.step("all of the output is there before the end", async () => {
      await machine.exec("c", "e", ["sh", "-c", "yes 0123456789 | head -n 20000"], {
        io: "o",
        terminal: true,
      });
      const output = machine.output("c", "stdout", "e");
      await task.start({ id: "c", execId: "e" });
      assert.equal((await output).length, 20_000 * 12);
      // The end of the terminal comes before the end of the shell that wrote to it.
      assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, 0);
      await task.delete({ id: "c", execId: "e" });
    });

    await t.step("a missing command is told, and its terminal ends", async () => {
      await machine.exec("c", "e", ["no-such-program"], { io: "io", terminal: true });
      const output = machine.output("c", "stdout", "e");
      await assert.rejects(task.start({ id: "c", execId: "e" }), /executable file not found/);
      assert.equal((await output).length, 0);
      await task.delete({ id: "c", execId: "e" });
    });

    await t.step("nobody at the terminal: the process ends all the same", async () => {
      await machine.exec("c", "e", ["sh", "-c", "yes | head -c 200000; exit 3"], {
        terminal: true,
      });
      await task.start({ id: "c", execId: "e" });
      assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, 3);
      await task.delete({ id: "c", execId: "e" });
    });
    assert.equal(await machine.kill("c"), 137);
  },
});
