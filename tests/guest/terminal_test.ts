import assert from "node:assert/strict";
import { FrameReader, FrameWriter } from "../../proto/mod.ts";
import { messageOf } from "../../base/mod.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { within } from "../lib/wait.ts";
import { Machine } from "./machine.ts";

/** How long a text may take to appear on a terminal; a busy machine under TCG is slow. */
const SHOWN_WITHIN_MS = 30_000;

/** A person at the terminal of a process. */
class Typist {
  readonly #input: FrameWriter;
  readonly #output: FrameReader;
  /** Output of the terminal that `sees` has not consumed. */
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

  /** Ends the stream of input. */
  async leave(): Promise<void> {
    await this.#input.end();
  }

  /** Waits until the terminal shows `text`, and drops the output up to its end. */
  async sees(text: string): Promise<void> {
    const look = async () => {
      while (!this.shown.includes(text)) {
        assert.ok(await this.#more(), "it ended");
      }
    };
    await within(`${text} on the terminal`, SHOWN_WITHIN_MS, look()).catch((error) => {
      throw new Error(`${messageOf(error)}; there was ${JSON.stringify(this.shown)}`);
    });
    this.shown = this.shown.slice(this.shown.indexOf(text) + text.length);
  }

  /** Returns what is shown until the stream ends. */
  async rest(): Promise<string> {
    const drain = async () => {
      while (await this.#more());
    };
    await within("end of the terminal", SHOWN_WITHIN_MS, drain());
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
  ignore: !IN_TESTBED,
  fn: async (t) => {
    await using machine = await Machine.boot();
    const { task } = machine;

    await t.step("a container's terminal has a size, Ctrl-C and an exit status", async () => {
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
      await typist.sees("asleep\r\n"); // before that, the shell would get the Ctrl-C
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
    await execs(t, machine);
    await failures(t, machine);
    assert.equal(await machine.kill("c"), 137);
  },
});

async function execs(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  await t.step("an exec has its own terminal of the requested size", async () => {
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

  await t.step("all output arrives before the end of the stream", async () => {
    await machine.exec("c", "e", ["sh", "-c", "yes 0123456789 | head -n 20000"], {
      io: "o",
      terminal: true,
    });
    const output = machine.output("c", "stdout", "e");
    await task.start({ id: "c", execId: "e" });
    assert.equal((await output).length, 20_000 * 12);
    // The terminal ends before the shell that wrote to it exits.
    assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, 0);
    await task.delete({ id: "c", execId: "e" });
  });
}

async function failures(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  await t.step("a missing command is reported, and its terminal ends", async () => {
    await machine.exec("c", "e", ["no-such-program"], { io: "io", terminal: true });
    const output = machine.output("c", "stdout", "e");
    await assert.rejects(task.start({ id: "c", execId: "e" }), /executable file not found/);
    assert.equal((await output).length, 0);
    await task.delete({ id: "c", execId: "e" });
  });

  await t.step("a process with an unread terminal exits all the same", async () => {
    await machine.exec("c", "e", ["sh", "-c", "yes | head -c 200000; exit 3"], {
      terminal: true,
    });
    await task.start({ id: "c", execId: "e" });
    assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, 3);
    await task.delete({ id: "c", execId: "e" });
  });
}
