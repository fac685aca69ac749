import assert from "node:assert/strict";
import { connectUnix } from "../../ffi/mod.ts";
import {
  type AnySchema,
  type Client,
  Code,
  createClient,
  encodeOciJson,
  FrameReader,
  FrameWriter,
  guest,
  type MessageInitShape,
  openStream,
  taskV3,
  TtrpcConnection,
  waitForClose,
} from "../../proto/mod.ts";

/** vminitd's task service in a process of its own, with a shell script for crun. */
export interface Guest {
  readonly directory: string;
  readonly task: Client<typeof taskV3.Task>;
  readonly system: Client<typeof guest.System>;
  readonly checkpoints: Client<typeof guest.Checkpoints>;
  /**
   * Makes a bundle whose container runs `command`, and creates the container, from `checkpoint`
   * unless that is empty. `io` has a letter for each of its streams: i, o, e.
   */
  create(id: string, command: string | null, io?: string, checkpoint?: string): Promise<number>;
  /** Adds an exec process that runs `script`, with the streams in `io`. */
  exec(id: string, execId: string, script: string, io?: string): Promise<void>;
  /** Dials an output stream of a container, or of `<id>/<execId>`, and reads it to its end. */
  output(id: string, stream?: "stdout" | "stderr"): Promise<string>;
  /** Dials stdin, writes `text` and ends it. */
  input(id: string, text: string): Promise<void>;
}

/** Runs a test with a `Guest`. */
export async function withGuest(
  run: (guest: Guest) => Promise<void>,
  crunTimeoutMs: number = 30_000,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const script = new URL("serve.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", script, directory, String(crunTimeoutMs)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const reader = child.stdout.getReader();
    await reader.read(); // "listening"
    reader.releaseLock();
    const connection = new TtrpcConnection(await connectUnix(`${directory}/rpc`));
    await run(guestIn(directory, connection));
    connection.close();
  } finally {
    child.kill("SIGTERM");
    await child.stdout.cancel();
    await child.status;
    killContainers(`${directory}/crun`);
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * Kills containers that crun.sh created and nobody deleted: they would wait forever for their
 * start.
 */
function killContainers(crunRoot: string): void {
  for (const { name } of Deno.readDirSync(crunRoot)) {
    try {
      Deno.kill(Number(Deno.readTextFileSync(`${crunRoot}/${name}/pid`)), "SIGKILL");
    } catch {
      // It has exited, or was never created.
    }
  }
}

function guestIn(directory: string, connection: TtrpcConnection): Guest {
  const task = createClient(taskV3.Task, connection);
  const dial = async (id: string) => {
    const stream = await connectUnix(`${directory}/streams`);
    await openStream(stream, id);
    return stream;
  };
  return {
    directory,
    task,
    system: createClient(guest.System, connection),
    checkpoints: createClient(guest.Checkpoints, connection),
    async create(id, command, io = "", checkpoint = ""): Promise<number> {
      const bundle = `${directory}/bundle-${id}`;
      await Deno.mkdir(bundle);
      if (checkpoint !== "") await Deno.writeTextFile(`${bundle}/config.json`, "{}");
      if (command !== null) await Deno.writeTextFile(`${bundle}/command`, command);
      const stream = (letter: string, name: string): string =>
        io.includes(letter) ? `${id}/${name}` : "";
      const { pid } = await task.create({
        id,
        bundle,
        checkpoint,
        stdin: stream("i", "stdin"),
        stdout: stream("o", "stdout"),
        stderr: stream("e", "stderr"),
      });
      return pid;
    },
    async exec(id, execId, script, io = ""): Promise<void> {
      const stream = (letter: string, name: string): string =>
        io.includes(letter) ? `${id}/${execId}/${name}` : "";
      await task.exec({
        id,
        execId,
        stdin: stream("i", "stdin"),
        stdout: stream("o", "stdout"),
        stderr: stream("e", "stderr"),
        spec: processSpec({ args: ["sh", "-c", script], cwd: "/" }),
      });
    },
    async output(id, stream = "stdout"): Promise<string> {
      const connection = await dial(`${id}/${stream}`);
      const reader = new FrameReader(connection);
      let text = "";
      for (let chunk; (chunk = await reader.read()) !== null;) {
        text += new TextDecoder().decode(chunk);
      }
      return text;
    },
    async input(id, text): Promise<void> {
      const connection = await dial(`${id}/stdin`);
      const writer = new FrameWriter(connection);
      await writer.write(new TextEncoder().encode(text));
      await writer.end();
      await waitForClose(connection);
    },
  };
}

/** Returns a check for assert.rejects: an RpcError with this code and text. */
export function refused(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    const { name, code: actual, message: text } = error as Error & { code: Code };
    assert.equal(name, "RpcError", String(error));
    assert.equal(Code[actual], Code[code], text);
    assert.match(text, message);
    return true;
  };
}

/** Returns an OCI process as containerd sends it. */
export function processSpec(process: unknown): MessageInitShape<typeof AnySchema> {
  return {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: encodeOciJson(process),
  };
}
