import assert from "node:assert/strict";
import { Code, events, taskTypes, unpackAny } from "../../proto/mod.ts";
import { refused, withGuest } from "../testing/task_guest.ts";

const { Status } = taskTypes;

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
    assert.deepEqual((await task.pids({ id: "c1" })).processes.map((info) => info.pid), [pid]);
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

Deno.test("calls that the state forbids are refused with the state's name", () =>
  withGuest(async ({ task, directory, create }) => {
    await create("c1", "cat", "i");
    const again = task.create({ id: "c1", bundle: `${directory}/bundle-c1` });
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

Deno.test("a failed create frees its id and streams", () =>
  withGuest(async ({ task, directory, create }) => {
    const failed = create("c1", null, "ioe");
    await assert.rejects(failed, refused(Code.InvalidArgument, /crun create: executable file/));
    await assert.rejects(task.state({ id: "c1" }), refused(Code.NotFound, /c1/));
    await Deno.remove(`${directory}/bundle-c1`);
    await create("c1", "exit 0", "ioe");

    const bundle = `${directory}/bundle-c1`;
    await assert.rejects(
      task.create({ id: "c2", bundle, stdout: "c1/stdout" }),
      refused(Code.AlreadyExists, /stream "c1\/stdout"/),
    );
    await assert.rejects(
      task.create({ id: "c2", bundle: "/etc" }),
      refused(Code.FailedPrecondition, /no bundle at "\/etc"/),
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
      task.create({ id: "c2", bundle, terminal: true, stderr: "c2/stderr" }),
      refused(Code.InvalidArgument, /terminal has no stderr/),
    );
    await assert.rejects(task.state({ id: "c2" }), refused(Code.NotFound, /c2/));
    await task.delete({ id: "c1" });
  }));

Deno.test("delete kills a container that was never started", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "exit 0");
    const wait = task.wait({ id: "c1" });
    assert.equal((await task.delete({ id: "c1" })).exitStatus, 137);
    assert.equal((await wait).exitStatus, 137);
  }));

Deno.test("a failed start or delete can be retried", () =>
  withGuest(async ({ task, directory, create }) => {
    await create("c1", "exit 0");
    await Deno.writeTextFile(`${directory}/crun/c1/no-start`, "");
    await assert.rejects(task.start({ id: "c1" }), refused(Code.Unknown, /Exec format error/));
    assert.equal((await task.state({ id: "c1" })).status, Status.CREATED);
    await Deno.remove(`${directory}/crun/c1/no-start`);
    await task.start({ id: "c1" });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 0);

    await Deno.writeTextFile(`${directory}/crun/c1/no-delete`, "");
    await assert.rejects(task.delete({ id: "c1" }), refused(Code.Unknown, /cannot remove cgroup/));
    assert.equal((await task.state({ id: "c1" })).status, Status.STOPPED);
    await Deno.remove(`${directory}/crun/c1/no-delete`);
    await task.delete({ id: "c1" });
  }));

Deno.test("a hanging crun is killed at its deadline", () =>
  withGuest(async ({ task, directory }) => {
    await Deno.mkdir(`${directory}/bundle-c1`);
    await Deno.writeTextFile(`${directory}/bundle-c1/hang`, "");
    await assert.rejects(
      task.create({ id: "c1", bundle: `${directory}/bundle-c1` }),
      refused(Code.DeadlineExceeded, /crun create did not exit within/),
    );
    await assert.rejects(task.state({ id: "c1" }), refused(Code.NotFound, /c1/));
  }, 200));

Deno.test("output is complete, even of a process that exits at once", () =>
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

Deno.test("closeIO ends stdin that was never dialed", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "cat; exit 5", "i");
    await task.start({ id: "c1" });
    await task.closeIO({ id: "c1" }); // not stdin: no effect
    await task.closeIO({ id: "c1", stdin: true });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 5);
  }));

Deno.test("calls for an unknown exec process return NotFound", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "exit 0");
    const kill = task.kill({ id: "c1", execId: "e", signal: 9 });
    await assert.rejects(kill, refused(Code.NotFound, /no process "e"/));
    await assert.rejects(
      task.delete({ id: "c1", execId: "e" }),
      refused(Code.NotFound, /no process "e"/),
    );
  }));
