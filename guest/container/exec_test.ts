import assert from "node:assert/strict";
import { Code, events, runcOptions, taskTypes, unpackAny } from "../../proto/mod.ts";
import { type Guest, processSpec, refused, withGuest } from "../testing/task_guest.ts";

const { Status } = taskTypes;

/** Starts a container that runs until it is killed. */
async function sleeper({ create, task }: Guest, id = "c1"): Promise<void> {
  await create(id, "exec sleep 1000");
  await task.start({ id });
}

/** Returns the next `count` exit events, as "<id> <status>". */
async function exits({ system }: Guest, count: number): Promise<string[]> {
  const seen: string[] = [];
  for await (const { event } of system.events({})) {
    const { id, exitStatus } = unpackAny(events.TaskExitSchema, event!);
    seen.push(`${id} ${exitStatus}`);
    if (seen.length === count) break;
  }
  return seen;
}

Deno.test("an exec process lives from exec to delete", () =>
  withGuest(async (guest) => {
    const { task, exec, output, input } = guest;
    await sleeper(guest);
    await exec("c1", "e1", "cat; echo err >&2; exit 42", "ioe");
    const added = await task.state({ id: "c1", execId: "e1" });
    assert.deepEqual([added.status, added.pid, added.execId], [Status.CREATED, 0, "e1"]);
    assert.equal(added.stdout, "c1/e1/stdout");
    const waits = [task.wait({ id: "c1", execId: "e1" }), task.wait({ id: "c1", execId: "e1" })];
    const out = output("c1/e1"), err = output("c1/e1", "stderr");

    const { pid } = await task.start({ id: "c1", execId: "e1" });
    const running = await task.state({ id: "c1", execId: "e1" });
    assert.deepEqual([running.status, running.pid], [Status.RUNNING, pid]);
    await input("c1/e1", "hello");
    assert.deepEqual((await Promise.all(waits)).map(({ exitStatus }) => exitStatus), [42, 42]);
    assert.deepEqual([await out, await err], ["hello", "err\n"]);
    const stopped = await task.state({ id: "c1", execId: "e1" });
    assert.deepEqual([stopped.status, stopped.exitStatus], [Status.STOPPED, 42]);
    await assert.rejects(
      task.kill({ id: "c1", execId: "e1", signal: 9 }),
      refused(Code.NotFound, /process already finished/),
    );

    const deleted = await task.delete({ id: "c1", execId: "e1" });
    assert.deepEqual([deleted.pid, deleted.exitStatus], [pid, 42]);
    await assert.rejects(
      task.state({ id: "c1", execId: "e1" }),
      refused(Code.NotFound, /no process "e1"/),
    );
    await exec("c1", "e1", "exit 0", "ioe"); // its id and its streams are free again
    await task.delete({ id: "c1", execId: "e1" });
    assert.equal((await task.state({ id: "c1" })).status, Status.RUNNING);
  }));

Deno.test("an init's exit kills the exec processes and is reported last", () =>
  withGuest(async (guest) => {
    const { task, exec } = guest;
    await sleeper(guest);
    for (const name of ["e1", "e2", "unstarted"]) await exec("c1", name, "exec sleep 1000");
    for (const execId of ["e1", "e2"]) await task.start({ id: "c1", execId });
    await exec("c1", "fast", "exit 7");
    await task.start({ id: "c1", execId: "fast" });
    await task.wait({ id: "c1", execId: "fast" });
    await task.kill({ id: "c1", signal: 9 });
    const seen = await exits(guest, 4);
    assert.deepEqual([seen[0], seen.slice(1, 3).sort(), seen[3]], [
      "fast 7",
      ["e1 137", "e2 137"],
      "c1 137",
    ]);

    const start = task.start({ id: "c1", execId: "unstarted" });
    await assert.rejects(start, refused(Code.FailedPrecondition, /cannot exec in .* is stopped/));
    await assert.rejects(
      exec("c1", "e3", "exit 0"),
      refused(Code.FailedPrecondition, /cannot exec in container "c1": it is stopped/),
    );
    await task.delete({ id: "c1" });
  }));

Deno.test("a missing command fails the start and is not an exit", () =>
  withGuest(async (guest) => {
    const { task, output, exec } = guest;
    await sleeper(guest);
    await task.exec({
      id: "c1",
      execId: "e1",
      stdout: "c1/e1/stdout",
      spec: processSpec({ args: ["nope"], cwd: "/" }),
    });
    const wait = task.wait({ id: "c1", execId: "e1" });
    const out = output("c1/e1");
    await assert.rejects(
      task.start({ id: "c1", execId: "e1" }),
      refused(
        Code.InvalidArgument,
        /^OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in \$PATH$/,
      ),
    );
    assert.equal((await wait).exitStatus, 127);
    assert.equal(await out, "");
    const again = task.start({ id: "c1", execId: "e1" });
    await assert.rejects(again, refused(Code.FailedPrecondition, /process "e1": it is stopped/));
    await task.delete({ id: "c1", execId: "e1" });
    await exec("c1", "e2", "exit 3");
    await task.start({ id: "c1", execId: "e2" });
    assert.deepEqual(await exits(guest, 1), ["e2 3"]);
  }));

Deno.test("an exec process can be deleted before its start, not while it runs", () =>
  withGuest(async (guest) => {
    const { task, exec } = guest;
    await sleeper(guest);
    await exec("c1", "e1", "exec sleep 1000");
    const wait = task.wait({ id: "c1", execId: "e1" });
    await assert.rejects(
      task.kill({ id: "c1", execId: "e1", signal: 9 }),
      refused(Code.FailedPrecondition, /cannot kill process "e1": it is added/),
    );
    assert.equal((await task.delete({ id: "c1", execId: "e1" })).exitStatus, 0);
    assert.equal((await wait).exitStatus, 0);

    await exec("c1", "e1", "exec sleep 1000");
    await task.start({ id: "c1", execId: "e1" });
    await assert.rejects(
      task.delete({ id: "c1", execId: "e1" }),
      refused(Code.FailedPrecondition, /cannot delete process "e1": it is running/),
    );
    await task.kill({ id: "c1", execId: "e1", signal: 15 });
    assert.equal((await task.wait({ id: "c1", execId: "e1" })).exitStatus, 143);
  }));

Deno.test("an invalid exec is refused", () =>
  withGuest(async (guest) => {
    const { task, exec } = guest;
    await sleeper(guest);
    await exec("c1", "e1", "exit 0");
    await assert.rejects(exec("c1", "e1", ""), refused(Code.AlreadyExists, /process "e1"/));
    await assert.rejects(exec("c1", "c1", ""), refused(Code.AlreadyExists, /process "c1"/));
    await assert.rejects(exec("c1", "..", ""), refused(Code.InvalidArgument, /invalid exec id/));
    await assert.rejects(exec("c2", "e1", ""), refused(Code.NotFound, /no container "c2"/));
    const bad = async (spec: ReturnType<typeof processSpec> | undefined, why: RegExp) =>
      await assert.rejects(
        task.exec({ id: "c1", execId: "e2", ...(spec === undefined ? {} : { spec }) }),
        refused(Code.InvalidArgument, why),
      );
    await bad(undefined, /exec process: missing/);
    await bad({ ...processSpec({}), typeUrl: "x/Linux" }, /has type "x\/Linux"/);
    await bad(processSpec({ cwd: "/" }), /args must be a non-empty list of strings/);
    await bad(processSpec({ args: ["x"], cwd: "x" }), /cwd must be an absolute path/);
    await bad(processSpec([]), /exec process: not a JSON object/);
  }));

Deno.test("pids returns the exec ids of exec processes", () =>
  withGuest(async (guest) => {
    const { task, exec } = guest;
    await sleeper(guest);
    await exec("c1", "e1", "exec sleep 1000");
    const { pid } = await task.start({ id: "c1", execId: "e1" });
    const { processes } = await task.pids({ id: "c1" });
    const info = processes.find((process) => process.pid === pid)?.info;
    assert.equal(unpackAny(runcOptions.ProcessDetailsSchema, info!).execId, "e1");
  }));

Deno.test("fifty exec processes run at a time", () =>
  withGuest(async (guest) => {
    const { task, exec, output } = guest;
    await sleeper(guest);
    const run = async (index: number): Promise<string> => {
      const execId = `e${index}`;
      await exec("c1", execId, `echo ${index}; exit ${index}`, "o");
      const out = output(`c1/${execId}`);
      await task.start({ id: "c1", execId });
      const { exitStatus } = await task.wait({ id: "c1", execId });
      await out;
      await task.delete({ id: "c1", execId });
      return `${exitStatus} ${await out}`;
    };
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, index) => run(index)));
    assert.deepEqual(outcomes, Array.from({ length: 50 }, (_, index) => `${index} ${index}\n`));
  }));

Deno.test("integers of 64 bits of an exec process arrive at crun unchanged", () =>
  withGuest(async (guest) => {
    const { task, directory } = guest;
    await sleeper(guest);
    const rlimits = [{ type: "RLIMIT_NOFILE", hard: 2n ** 64n - 1n, soft: 2n ** 63n - 1n }];
    const spec = processSpec({ args: ["sh", "-c", "exit 0"], cwd: "/", rlimits });
    await task.exec({ id: "c1", execId: "e1", spec });
    await task.start({ id: "c1", execId: "e1" });
    await task.wait({ id: "c1", execId: "e1" });
    assert.equal(
      await Deno.readTextFile(`${directory}/crun/c1/process.json`),
      '{"args":["sh","-c","exit 0"],"cwd":"/","rlimits":[{"type":"RLIMIT_NOFILE",' +
        '"hard":18446744073709551615,"soft":9223372036854775807}],"terminal":false}',
    );
  }));
