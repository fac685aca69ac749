import assert from "node:assert/strict";
import { connectUnix } from "../ffi/mod.ts";
import {
  type Client,
  Code,
  createClient,
  events,
  FrameReader,
  FrameWriter,
  guest,
  openStream,
  taskTypes,
  taskV3,
  TtrpcConnection,
  unpackAny,
  waitForClose,
} from "../proto/mod.ts";

const { Status } = taskTypes;

/** A task service in a process of its own, with a crun that is a shell script. */
interface Guest {
  readonly folder: string;
  readonly task: Client<typeof taskV3.Task>;
  readonly system: Client<typeof guest.System>;
  /** Makes a bundle whose container runs `command`, and creates the container. */
  create(id: string, command: string | null, io?: string): Promise<number>;
  output(id: string, stream?: "stdout" | "stderr"): Promise<string>;
  input(id: string, text: string): Promise<void>;
}

async function withGuest(
  run: (guest: Guest) => Promise<void>,
  crunTimeoutMs: number = 30_000,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const script = new URL("testing/serve.ts", import.meta.url).pathname;
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
    await Deno.remove(folder, { recursive: true });
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
    async create(id, command, io = ""): Promise<number> {
      const bundle = `${folder}/bundle-${id}`;
      await Deno.mkdir(bundle);
      if (command !== null) await Deno.writeTextFile(`${bundle}/command`, command);
      const stream = (letter: string, name: string): string =>
        io.includes(letter) ? `${id}/${name}` : "";
      const { pid } = await task.create({
        id,
        bundle,
        stdin: stream("i", "stdin"),
        stdout: stream("o", "stdout"),
        stderr: stream("e", "stderr"),
      });
      return pid;
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

function refused(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    const { name, code: actual, message: text } = error as Error & { code: Code };
    assert.equal(name, "RpcError", String(error));
    assert.equal(Code[actual], Code[code], text);
    assert.match(text, message);
    return true;
  };
}

Deno.test("a container lives from create to delete", () =>
  withGuest(async ({ task, system, create, output, input }) => {
    const pid = await create("c1", "cat; echo err >&2; exit 42", "ioe");
    assert.ok(pid > 1);
    assert.equal((await task.state({ id: "c1" })).status, Status.CREATED);
    const waits = Promise.all([task.wait({ id: "c1" }), task.wait({ id: "c1" })]);
    const out = output("c1"), err = output("c1", "stderr");

    assert.equal((await task.start({ id: "c1" })).pid, pid);
    const { status, stdout, bundle } = await task.state({ id: "c1" });
    assert.deepEqual([status, stdout], [Status.RUNNING, "c1/stdout"]);
    assert.match(bundle, /bundle-c1$/);
    assert.deepEqual((await task.pids({ id: "c1" })).processes.map((info) => info.pid), [1, 2]);
    assert.deepEqual(await task.connect({ id: "c1" }).then(({ taskPid }) => taskPid), pid);

    await input("c1", "hello");
    assert.deepEqual((await waits).map(({ exitStatus }) => exitStatus), [42, 42]);
    assert.deepEqual([await out, await err], ["hello", "err\n"]);
    const late = await task.wait({ id: "c1" });
    assert.equal(late.exitStatus, 42);
    assert.ok(late.exitedAt !== undefined && late.exitedAt.seconds > 0n);
    const stopped = await task.state({ id: "c1" });
    assert.deepEqual([stopped.status, stopped.exitStatus], [Status.STOPPED, 42]);

    const deleted = await task.delete({ id: "c1" });
    assert.deepEqual([deleted.pid, deleted.exitStatus], [pid, 42]);
    await assert.rejects(task.state({ id: "c1" }), refused(Code.NotFound, /no container "c1"/));
    for await (const { topic, event } of system.events({})) {
      assert.equal(topic, "/tasks/exit");
      const exit = unpackAny(events.TaskExitSchema, event as NonNullable<typeof event>);
      assert.deepEqual([exit.containerId, exit.id, exit.pid, exit.exitStatus], [
        "c1",
        "c1",
        pid,
        42,
      ]);
      break;
    }
  }));

Deno.test("calls that the state forbids are refused, and name it", () =>
  withGuest(async ({ task, folder, create }) => {
    await create("c1", "cat", "i");
    const again = task.create({ id: "c1", bundle: `${folder}/bundle-c1` });
    await assert.rejects(again, refused(Code.AlreadyExists, /container "c1" already exists/));
    await task.start({ id: "c1" });
    const start = task.start({ id: "c1" });
    await assert.rejects(start, refused(Code.FailedPrecondition, /cannot start .* is running/));
    const remove = task.delete({ id: "c1" });
    await assert.rejects(remove, refused(Code.FailedPrecondition, /cannot delete .* is running/));
    const kill = task.kill({ id: "c1", signal: 65 });
    await assert.rejects(kill, refused(Code.InvalidArgument, /no such signal: 65/));

    await task.kill({ id: "c1", signal: 9 });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 137);
    for (const all of [false, true]) {
      const late = task.kill({ id: "c1", signal: 9, all });
      await assert.rejects(late, refused(Code.NotFound, /process already finished/));
    }
    const restart = task.start({ id: "c1" });
    await assert.rejects(restart, refused(Code.FailedPrecondition, /is stopped/));
    await task.delete({ id: "c1" });
  }));

Deno.test("what cannot be created is refused, and its id and streams are free again", () =>
  withGuest(async ({ task, folder, create }) => {
    const failed = create("c1", null, "ioe");
    await assert.rejects(failed, refused(Code.InvalidArgument, /crun create: executable file/));
    await assert.rejects(task.state({ id: "c1" }), refused(Code.NotFound, /c1/));
    await Deno.remove(`${folder}/bundle-c1`);
    await create("c1", "exit 0", "ioe");

    const bundle = `${folder}/bundle-c1`;
    await assert.rejects(
      task.create({ id: "c2", bundle, stdout: "c1/stdout" }),
      refused(Code.AlreadyExists, /stream "c1\/stdout"/),
    );
    await assert.rejects(
      task.create({ id: "c2", bundle: "/etc" }),
      refused(Code.NotFound, /no bundle at "\/etc"/),
    );
    await assert.rejects(
      task.create({ id: "../c2", bundle }),
      refused(Code.InvalidArgument, /invalid container id/),
    );
    await assert.rejects(
      task.create({ id: "c2", bundle, stdin: "a b" }),
      refused(Code.InvalidArgument, /invalid stream id/),
    );
    await assert.rejects(
      task.create({ id: "c2", bundle, terminal: true }),
      refused(Code.Unimplemented, /terminals/),
    );
    await assert.rejects(task.state({ id: "c2" }), refused(Code.NotFound, /c2/));
    await task.delete({ id: "c1" });
  }));

Deno.test("a container that never started is killed by its delete", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "exit 0");
    const wait = task.wait({ id: "c1" });
    assert.equal((await task.delete({ id: "c1" })).exitStatus, 137);
    assert.equal((await wait).exitStatus, 137);
  }));

Deno.test("a start or a delete that fails can be tried again", () =>
  withGuest(async ({ task, folder, create }) => {
    await create("c1", "exit 0");
    await Deno.writeTextFile(`${folder}/crun/c1/no-start`, "");
    await assert.rejects(task.start({ id: "c1" }), refused(Code.Unknown, /Exec format error/));
    assert.equal((await task.state({ id: "c1" })).status, Status.CREATED);
    await Deno.remove(`${folder}/crun/c1/no-start`);
    await task.start({ id: "c1" });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 0);

    await Deno.writeTextFile(`${folder}/crun/c1/no-delete`, "");
    await assert.rejects(task.delete({ id: "c1" }), refused(Code.Unknown, /cannot remove cgroup/));
    assert.equal((await task.state({ id: "c1" })).status, Status.STOPPED);
    await Deno.remove(`${folder}/crun/c1/no-delete`);
    await task.delete({ id: "c1" });
  }));

Deno.test("a crun that hangs is killed at its deadline", () =>
  withGuest(async ({ task, folder }) => {
    await Deno.mkdir(`${folder}/bundle-c1`);
    await Deno.writeTextFile(`${folder}/bundle-c1/hang`, "");
    await assert.rejects(
      task.create({ id: "c1", bundle: `${folder}/bundle-c1` }),
      refused(Code.DeadlineExceeded, /crun create did not end within/),
    );
    await assert.rejects(task.state({ id: "c1" }), refused(Code.NotFound, /c1/));
  }, 200));

Deno.test("all of the output is there, also of a process that ends at once", () =>
  withGuest(async ({ task, create, output }) => {
    await create("c1", "head -c 60000 /dev/zero | tr '\\0' x", "o");
    await task.start({ id: "c1" });
    await task.wait({ id: "c1" });
    assert.equal(await output("c1"), "x".repeat(60_000)); // dialed after the exit
    await create("c2", "head -c 3000000 /dev/zero | tr '\\0' x", "o");
    const out = output("c2");
    await task.start({ id: "c2" });
    assert.equal((await out).length, 3_000_000);
  }));

Deno.test("closing stdin ends a process that nobody feeds", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "cat; exit 5", "i");
    await task.start({ id: "c1" });
    await task.closeIO({ id: "c1" }); // not stdin: nothing happens
    await task.closeIO({ id: "c1", stdin: true });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 5);
  }));

Deno.test("what is not there yet says so", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "exit 0");
    await assert.rejects(task.exec({ id: "c1", execId: "e" }), refused(Code.Unimplemented, /Exec/));
    await assert.rejects(task.pause({ id: "c1" }), refused(Code.Unimplemented, /Pause/));
    const kill = task.kill({ id: "c1", execId: "e", signal: 9 });
    await assert.rejects(kill, refused(Code.NotFound, /no process "e"/));
    await assert.rejects(
      task.delete({ id: "c1", execId: "e" }),
      refused(Code.NotFound, /no process "e"/),
    );
  }));
