import assert from "node:assert/strict";
import { connectUnix } from "../../ffi/mod.ts";
import {
  type AnySchema,
  type Client,
  Code,
  createClient,
  FrameReader,
  FrameWriter,
  guest,
  type MessageInitShape,
  openStream,
  taskV3,
  TtrpcConnection,
  waitForClose,
} from "../../proto/mod.ts";

/** A task service in a process of its own, with a crun that is a shell script. */
export interface Guest {
  readonly folder: string;
  readonly task: Client<typeof taskV3.Task>;
  readonly system: Client<typeof guest.System>;
  readonly checkpoints: Client<typeof guest.Checkpoints>;
  /**
   * Makes a bundle whose container runs `command`, and creates the container, out of `checkpoint` unless
   * that is empty.
   */
  create(id: string, command: string | null, io?: string, checkpoint?: string): Promise<number>;
  /** Adds a process that runs `script`; its streams are those in `io`. */
  exec(id: string, execId: string, script: string, io?: string): Promise<void>;
  /** Dials an output stream of a container, or of its process `<id>/<execId>`, to its end. */
  output(id: string, stream?: "stdout" | "stderr"): Promise<string>;
  input(id: string, text: string): Promise<void>;
}

/** Runs a test with such a guest. */
export async function withGuest(
  run: (guest: Guest) => Promise<void>,
  crunTimeoutMs: number = 30_000,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const script = new URL("serve.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", script, folder, String(crunTimeoutMs)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const reader = child.stdout.getReader();
    await reader.read(); // "listening"
    reader.releaseLock();
    const connection = new TtrpcConnection(await connectUnix(`${folder}/rpc`));
    await run(guestIn(folder, connection));
    connection.close();
  } finally {
    child.kill("SIGTERM");
    await child.stdout.cancel();
    await child.status;
    killContainers(`${folder}/crun`);
    await Deno.remove(folder, { recursive: true });
  }
}

/** Ends what crun.sh has created and nobody has deleted: it would wait for its start for ever. */
function killContainers(crunRoot: string): void {
  for (const { name } of Deno.readDirSync(crunRoot)) {
    try {
      Deno.kill(Number(Deno.readTextFileSync(`${crunRoot}/${name}/pid`)), "SIGKILL");
    } catch {
      // It has ended, or was not yet created.
    }
  }
}

function guestIn(folder: string, connection: TtrpcConnection): Guest {
  const task = createClient(taskV3.Task, connection);
  const dial = async (id: string) => {
    const stream = await connectUnix(`${folder}/streams`);
    await openStream(stream, id);
    return stream;
  };
  return {
    folder,
    task,
    system: createClient(guest.System, connection),
    checkpoints: createClient(guest.Checkpoints, connection),
    async create(id, command, io = "", checkpoint = ""): Promise<number> {
      const bundle = `${folder}/bundle-${id}`;
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

/** Whether a call was refused with this code and text, for assert.rejects. */
export function refused(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    const { name, code: actual, message: text } = error as Error & { code: Code };
    assert.equal(name, "RpcError", String(error));
    assert.equal(Code[actual], Code[code], text);
    assert.match(text, message);
    return true;
  };
}

/** An OCI process as containerd sends it. */
export function processSpec(process: unknown): MessageInitShape<typeof AnySchema> {
  return {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: new TextEncoder().encode(JSON.stringify(process)),
  };
}
