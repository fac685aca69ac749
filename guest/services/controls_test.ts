import assert from "node:assert/strict";
import { cgroups, Code, encodeOciJson, taskTypes, unpackAny } from "../../proto/mod.ts";
import { refused, withGuest } from "../testing/task_guest.ts";

const { Status } = taskTypes;

Deno.test("a paused container answers calls and can be resumed", () =>
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

Deno.test("update passes limits to crun and returns its error", () =>
  withGuest(async ({ task, create, directory }) => {
    await create("c1", "exec sleep 1000");
    const update = (limits: unknown, typeUrl = "types.containerd.io/opencontainers") =>
      task.update({
        id: "c1",
        resources: {
          typeUrl: `${typeUrl}/runtime-spec/1/LinuxResources`,
          value: encodeOciJson(limits),
        },
      });
    await update({ pids: { limit: 9 } });
    assert.equal(
      await Deno.readTextFile(`${directory}/crun/c1/resources.json`),
      '{"pids":{"limit":9}}',
    );
    await update({ memory: { limit: 2n ** 63n - 1n, swap: -1 }, pids: { limit: 2n ** 64n - 1n } });
    assert.equal(
      await Deno.readTextFile(`${directory}/crun/c1/resources.json`),
      '{"memory":{"limit":9223372036854775807,"swap":-1},"pids":{"limit":18446744073709551615}}',
    );
    await assert.rejects(
      update([]),
      refused(Code.InvalidArgument, /resources to update: not a JSON object/),
    );
    await assert.rejects(
      update({}, "x"),
      refused(Code.InvalidArgument, /resources to update: has type "x/),
    );
    await assert.rejects(update({ refuse: 1 }), refused(Code.Unknown, /crun update: .*pids.max/));
    await task.start({ id: "c1" });
    await task.kill({ id: "c1", signal: 9 });
    await task.wait({ id: "c1" });
    await assert.rejects(
      update({}),
      refused(Code.FailedPrecondition, /cannot update .* is stopped/),
    );
  }));
