import assert from "node:assert/strict";
import { cgroups, Code, taskTypes, unpackAny } from "../../proto/mod.ts";
import { refused, withGuest } from "../testing/task_guest.ts";

const { Status } = taskTypes;

Deno.test("a container is paused and resumed, and answers meanwhile", () =>
  withGuest(async ({ task, create, exec }) => {
    await create("c1", "exec sleep 1000");
    const early = task.pause({ id: "c1" });
    await assert.rejects(early, refused(Code.FailedPrecondition, /cannot pause .* is created/));
    await task.start({ id: "c1" });
    await exec("c1", "e1", "exec sleep 1000");
    await task.start({ id: "c1", execId: "e1" });
    await assert.rejects(
      task.resume({ id: "c1" }),
      refused(Code.FailedPrecondition, /cannot resume .* is running/),
    );

    await task.pause({ id: "c1" });
    assert.equal((await task.state({ id: "c1" })).status, Status.PAUSED);
    assert.equal((await task.state({ id: "c1", execId: "e1" })).status, Status.PAUSED);
    const { stats } = await task.stats({ id: "c1" });
    assert.equal(unpackAny(cgroups.MetricsSchema, stats!).pids?.limit, 7n);
    assert.equal((await task.pids({ id: "c1" })).processes.length, 2);
    for (
      const call of [task.pause({ id: "c1" }), exec("c1", "e2", ""), task.delete({ id: "c1" })]
    ) {
      await assert.rejects(call, refused(Code.FailedPrecondition, /is paused/));
    }
    await task.resume({ id: "c1" });
    assert.equal((await task.state({ id: "c1" })).status, Status.RUNNING);
    assert.equal((await task.state({ id: "c1", execId: "e1" })).status, Status.RUNNING);
  }));

Deno.test("a paused container can be killed", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", "exec sleep 1000");
    await task.start({ id: "c1" });
    await task.pause({ id: "c1" });
    await task.kill({ id: "c1", signal: 9, all: true });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 137);
    assert.equal((await task.state({ id: "c1" })).status, Status.STOPPED);
    await task.delete({ id: "c1" });
  }));

Deno.test("limits are handed to crun, and what it says is told", () =>
  withGuest(async ({ task, create, folder }) => {
    await create("c1", "exec sleep 1000");
    const update = (limits: unknown, typeUrl = "types.containerd.io/opencontainers") =>
      task.update({
        id: "c1",
        resources: {
          typeUrl: `${typeUrl}/runtime-spec/1/LinuxResources`,
          value: new TextEncoder().encode(JSON.stringify(limits)),
        },
      });
    await update({ pids: { limit: 9 } });
    assert.equal(
      await Deno.readTextFile(`${folder}/crun/c1/resources`),
      '{"pids":{"limit":9}}',
    );
    await assert.rejects(update([]), refused(Code.InvalidArgument, /resources .* not an object/));
    await assert.rejects(update({}, "x"), refused(Code.InvalidArgument, /it is of type "x/));
    await assert.rejects(update({ refuse: 1 }), refused(Code.Unknown, /crun update: .*pids.max/));
    await task.start({ id: "c1" });
    await task.kill({ id: "c1", signal: 9 });
    await task.wait({ id: "c1" });
    await assert.rejects(
      update({}),
      refused(Code.FailedPrecondition, /cannot update .* is stopped/),
    );
  }));
