import assert from "node:assert/strict";
import {
  c1,
  execRequest,
  held,
  outcome,
  QEMU,
  request,
  settled,
  SIGKILL,
  SIGTERM,
  type World,
  worldIn,
} from "../testing/task_world.ts";
import { ManualClock, settle } from "../testing/test_support.ts";

const KILL_TIMEOUT_MS = 10_000;
const options = { killTimeoutMs: KILL_TIMEOUT_MS };

function kill(world: World, signal = SIGKILL): Promise<void> {
  return world.service.controls.kill({ ...c1, signal, all: true });
}

Deno.test("a guest that reports no exit after SIGKILL loses its VM at the deadline", async () => {
  using clock = new ManualClock();
  const world = await worldIn("running", options);
  await kill(world);
  const waiting = world.service.wait(c1);
  await clock.advance(KILL_TIMEOUT_MS - 1);
  assert.deepEqual(world.news(), ["guest kill"]);
  await clock.advance(1);
  assert.equal((await waiting).exitStatus, 137);
  assert.deepEqual(world.news(), [
    "output given up",
    "sandbox is dropped",
    `/tasks/exit 137 pid ${QEMU}`,
  ]);
  assert.match(world.log.at("error").join(), /c1 did not exit within 10 s of SIGKILL/);
  assert.equal(clock.pending, 0);
  await world.service.delete(c1);
});

Deno.test("the deadline holds too for a guest that refuses SIGKILL, or says that it has exited", async () => {
  for (const message of ["already finished", "no"]) {
    using clock = new ManualClock();
    const world = await worldIn("running", options);
    world.onCall = () => Promise.reject(new Error(message));
    await outcome(() => kill(world));
    const waiting = world.service.wait(c1);
    await clock.advance(KILL_TIMEOUT_MS);
    assert.equal((await waiting).exitStatus, 137);
  }
});

Deno.test("other signals have no deadline, and the first SIGKILL counts", async () => {
  using clock = new ManualClock();
  const world = await worldIn("running", options);
  await kill(world, SIGTERM);
  assert.equal(clock.pending, 0);
  await kill(world);
  await clock.advance(KILL_TIMEOUT_MS / 2);
  await kill(world);
  assert.equal(clock.pending, 1);
  world.exit(137);
  await world.service.wait(c1);
  await settle();
  assert.equal(clock.pending, 0);
});

Deno.test("output that is late is given up, with the status that the guest reported", async () => {
  using clock = new ManualClock();
  const world = await worldIn("running", options);
  world.onDrain = () => held().promise;
  await kill(world);
  world.exit(143);
  await settle();
  const waiting = world.service.wait(c1);
  await clock.advance(KILL_TIMEOUT_MS);
  assert.equal((await waiting).exitStatus, 143);
  assert.deepEqual(world.news(), [
    "guest kill",
    "output given up",
    `/tasks/exit 143 pid ${QEMU}`,
  ]);
  assert.match(world.log.at("warn").join(), /not done within 10 s of SIGKILL/);
  assert.equal(clock.pending, 0);
});

Deno.test("a start or an exec that the guest never answers does not hold up the exit", async () => {
  using clock = new ManualClock();
  const world = await worldIn("running", options);
  await world.service.exec(execRequest("e1"));
  const lost = held();
  world.onCall = (name) => name === "start" ? lost.promise : Promise.resolve();
  const starting = outcome(() => world.service.start({ id: "c1", execId: "e1" }));
  await kill(world);
  world.exit(137);
  const waiting = world.service.wait(c1);
  await clock.advance(KILL_TIMEOUT_MS);
  await clock.advance(1_000);
  assert.ok(world.trace.includes("sandbox is dropped"));
  lost.fail(new Error("connection: closed")); // as the connection's end does
  assert.equal((await waiting).exitStatus, 137);
  await starting;
});

Deno.test("a checkpoint that the guest holds up does not hold up the deletion", async () => {
  using clock = new ManualClock();
  const world = await worldIn("running", options);
  const call = held();
  world.onCall = (name) => name === "checkpoint" ? call.promise : Promise.resolve();
  world.onSignal = (signal) => signal.addEventListener("abort", () => call.fail(signal.reason));
  const making = outcome(() => world.service.controls.checkpoint({ id: "c1", path: "/to" }));
  await settle();
  await kill(world);
  world.exit(137);
  await world.service.wait(c1);
  const deleting = world.service.delete(c1);
  await clock.advance(KILL_TIMEOUT_MS - 1);
  assert.ok(!world.trace.includes("sandbox ends"));
  await clock.advance(1);
  await deleting;
  assert.notEqual(await making, "OK");
  assert.equal(clock.pending, 0);
});

Deno.test("exits of unknown processes, and repeated ones, are ignored", async () => {
  const world = await worldIn("running");
  const drain = held();
  world.onDrain = () => drain.promise;
  for (let count = 0; count < 1000; count++) {
    world.exit(1, "other");
    world.exit(1, "c1", "e9");
    world.exit(2);
  }
  drain.release();
  assert.equal((await world.service.wait(c1)).exitStatus, 2);
  world.exit(3);
  await settled(world);
  assert.equal(world.service.state(c1).exitStatus, 2);
});

Deno.test("the guest is pinged from the first start on", async () => {
  const world = await worldIn("created");
  assert.equal(world.answersWithinMs, null);
  await world.service.start({ id: request.id, execId: "" });
  assert.equal(world.answersWithinMs, 4321, "guest_timeout_seconds");
});
