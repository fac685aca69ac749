import assert from "node:assert/strict";
import { Code, RpcError, timestampDate } from "../../proto/mod.ts";
import {
  c1,
  execRequest,
  held,
  outcome,
  QEMU,
  request,
  resources,
  SHIM,
  SHUTDOWN_TIMEOUT_MS,
  SIGTERM,
  type StateName,
  World,
  worldIn,
} from "../testing/task_world.ts";
import { settle } from "../testing/test_support.ts";
import { TaskService } from "./task_service.ts";

Deno.test("every call in every state", async () => {
  const states: StateName[] = ["none", "created", "running", "paused", "stopped", "deleted"];
  const [no, early, ok, taken] = ["NotFound", "FailedPrecondition", "OK", "AlreadyExists"];
  const calls: Record<string, [(service: TaskService) => unknown, string[]]> = {
    create: [(s) => s.create(request), [ok, taken, taken, taken, taken, ok]],
    start: [(s) => s.start(c1), [no, ok, early, early, early, no]],
    state: [(s) => s.state(c1), [no, ok, ok, ok, ok, no]],
    exec: [(s) => s.exec(execRequest("e1")), [no, ok, ok, early, early, no]],
    delete: [(s) => s.delete(c1), [no, ok, early, early, ok, no]],
    connect: [(s) => s.connect(c1), [no, ok, ok, ok, ok, no]],
    shutdown: [(s) => s.shutdown(), [ok, ok, ok, ok, ok, ok]],
    pids: [(s) => s.controls.pids(c1), [no, ok, ok, ok, ok, no]],
    kill: [
      (s) => s.controls.kill({ ...c1, signal: SIGTERM, all: false }),
      [no, ok, ok, ok, no, no],
    ],
    pause: [(s) => s.controls.pause(c1), [no, early, ok, early, early, no]],
    resume: [(s) => s.controls.resume(c1), [no, early, early, ok, early, no]],
    stats: [(s) => s.controls.stats(c1), [no, ok, ok, ok, early, no]],
    update: [(s) => s.controls.update({ ...c1, resources }), [no, ok, ok, ok, early, no]],
    resizePty: [
      (s) => s.controls.resizePty({ ...c1, width: 80, height: 25 }),
      [no, ok, ok, ok, early, no],
    ],
    closeIO: [(s) => s.controls.closeIO({ ...c1, stdin: true }), [no, ok, ok, ok, ok, no]],
    checkpoint: [
      (s) => s.controls.checkpoint({ ...c1, path: "/tmp" }),
      [no, early, ok, ok, early, no],
    ],
  };
  for (const [name, [call, expected]] of Object.entries(calls)) {
    for (const [index, state] of states.entries()) {
      const { service } = await worldIn(state);
      assert.equal(await outcome(() => call(service)), expected[index], `${name} when ${state}`);
    }
  }
});

Deno.test("a task's events come in order, with QEMU's pid", async () => {
  const world = new World();
  const { service } = world;
  assert.deepEqual(await service.create(request), { pid: QEMU });
  assert.deepEqual(await service.start(c1), { pid: QEMU });
  const waiting = service.wait(c1);
  world.exit(3);
  const exit = await waiting;
  assert.equal(exit.exitStatus, 3);
  assert.deepEqual(timestampDate(exit.exitedAt), new Date(1000));
  assert.deepEqual(await service.delete(c1), { pid: QEMU, ...exit });
  await service.shutdown();
  assert.deepEqual(world.trace, [
    `/tasks/create pid ${QEMU}`,
    "guest start",
    `/tasks/start pid ${QEMU}`,
    `/tasks/exit 3 pid ${QEMU}`,
    "sandbox ends",
    `/tasks/delete 3 pid ${QEMU}`,
    "shim exits",
  ]);
});

Deno.test("state returns the request of create, the status and the exit", async () => {
  const fields = async (name: StateName) => {
    const { status, pid, bundle, stdout, exitStatus } = (await worldIn(name)).service.state(c1);
    return { status, pid, bundle, stdout, exitStatus };
  };
  const same = { pid: QEMU, bundle: "/bundle", stdout: "/fifo" };
  assert.deepEqual(await fields("created"), { status: 1, ...same, exitStatus: undefined });
  assert.deepEqual(await fields("running"), { status: 2, ...same, exitStatus: undefined });
  assert.deepEqual(await fields("stopped"), { status: 3, ...same, exitStatus: 3 });
});

Deno.test("connect returns the pids of shim and QEMU", async () => {
  const { service } = await worldIn("running");
  assert.deepEqual(service.connect(c1), { shimPid: SHIM, taskPid: QEMU, version: "v2" });
});

Deno.test("an exit that overtakes the answer to start is published after the start", async () => {
  const world = await worldIn("created");
  const start = held();
  world.onCall = () => start.promise;
  const starting = world.service.start(c1);
  world.exit(0);
  const waiting = world.service.wait(c1);
  await settle();
  assert.deepEqual(world.news(), ["guest start"]);
  start.release();
  await Promise.all([starting, waiting]);
  assert.deepEqual(world.news(), [`/tasks/start pid ${QEMU}`, `/tasks/exit 0 pid ${QEMU}`]);
});

Deno.test("a failed start leaves the container created and publishes nothing", async () => {
  const world = await worldIn("created");
  world.onCall = () => Promise.reject(new RpcError(Code.Internal, "exec format error"));
  await assert.rejects(world.service.start(c1), /exec format error/);
  assert.deepEqual(world.news(), ["guest start"]);
  assert.equal(world.service.state(c1).status, 1);
  await world.service.delete(c1);
});

Deno.test("an exit is published once the output is delivered, and wait returns after it", async () => {
  const world = await worldIn("running");
  const drain = held();
  world.onDrain = () => drain.promise;
  const waiting = world.service.wait(c1).then(() => world.trace.push("wait answered"));
  world.exit(1);
  await settle();
  assert.deepEqual(world.news(), []);
  assert.equal(world.service.state(c1).status, 2);
  assert.equal(await outcome(() => world.service.delete(c1)), "FailedPrecondition");
  drain.release();
  await waiting;
  assert.deepEqual(world.news(), [`/tasks/exit 1 pid ${QEMU}`, "wait answered"]);
});

Deno.test("an exit is published once, and the first report counts", async () => {
  const world = await worldIn("running");
  world.exit(1);
  world.exit(2);
  world.listener!.onLost("the VM is gone");
  await settle();
  assert.deepEqual(world.news().filter((line) => line.startsWith("/tasks")), [
    `/tasks/exit 1 pid ${QEMU}`,
  ]);
  assert.equal((await world.service.wait(c1)).exitStatus, 1);
});

Deno.test("exits of unknown containers and processes are ignored", async () => {
  const world = await worldIn("running");
  world.exit(0, "c2");
  world.exit(0, "");
  world.exit(0, "__proto__");
  world.exit(0, "c1", "exec");
  await settle();
  assert.deepEqual(world.news(), []);
  assert.equal(world.service.state(c1).status, 2);
  assert.deepEqual(world.log.at("error"), []);
});

Deno.test("a lost VM ends its container with 137, once", async () => {
  for (const state of ["created", "running"] as const) {
    const world = await worldIn(state);
    const waiting = world.service.wait(c1);
    world.listener!.onLost("qemu was killed");
    assert.equal((await waiting).exitStatus, 137);
    assert.deepEqual(world.news(), ["sandbox is dropped", `/tasks/exit 137 pid ${QEMU}`]);
    assert.match(world.log.at("error").join(), /the VM is lost: qemu was killed/);
    assert.equal((await world.service.delete(c1)).exitStatus, 137);
    assert.deepEqual(world.news(), ["sandbox ends", `/tasks/delete 137 pid ${QEMU}`]);
  }
});

Deno.test("a VM that is lost for two reasons is dropped once, and reported afterwards", async () => {
  const world = await worldIn("running");
  world.listener!.onLost("qemu was killed");
  world.listener!.onLost("the guest no longer answers");
  await world.service.wait(c1);
  await settle();
  assert.deepEqual(world.news(), ["sandbox is dropped", `/tasks/exit 137 pid ${QEMU}`]);
  assert.equal(world.log.at("error").length, 1);
});

Deno.test("shutdown does nothing while there is a container or one is being made", async () => {
  for (const state of ["created", "running", "stopped"] as const) {
    const world = await worldIn(state);
    await world.service.shutdown();
    assert.deepEqual(world.news(), [], state);
  }
  const world = new World();
  const create = held();
  world.onCreate = () => create.promise;
  const creating = world.service.create(request);
  await world.service.shutdown();
  assert.deepEqual(world.news(), []);
  create.release();
  await creating;
});

Deno.test("a failed create can be tried again", async () => {
  const world = new World();
  world.onCreate = () => Promise.reject(new RpcError(Code.Internal, "no kernel"));
  await assert.rejects(world.service.create(request), /no kernel/);
  assert.deepEqual(world.news(), []);
  world.onCreate = () => Promise.resolve();
  await world.service.create(request);
  assert.deepEqual(world.news(), [`/tasks/create pid ${QEMU}`]);
});

Deno.test("a second create is refused while the first is running", async () => {
  const world = new World();
  const create = held();
  world.onCreate = () => create.promise;
  const first = world.service.create(request);
  assert.equal(await outcome(() => world.service.create(request)), "AlreadyExists");
  create.release();
  await first;
});

Deno.test("deleting a container that never ran answers its waiters", async () => {
  const world = await worldIn("created");
  const waiting = world.service.wait(c1);
  await world.service.delete(c1);
  assert.equal((await waiting).exitStatus, 0);
  assert.deepEqual(world.news(), ["sandbox ends", `/tasks/delete 0 pid ${QEMU}`]);
});

Deno.test("delete publishes an exit on its way before itself", async () => {
  const world = await worldIn("created");
  world.onDrain = () => held().promise;
  world.exit(137);
  await settle();
  const deleting = [world.service.delete(c1), outcome(() => world.service.delete(c1))] as const;
  assert.equal((await deleting[0]).exitStatus, 137);
  assert.equal(await deleting[1], "NotFound");
  assert.deepEqual(world.news(), [
    `/tasks/exit 137 pid ${QEMU}`,
    "sandbox ends",
    `/tasks/delete 137 pid ${QEMU}`,
  ]);
});

Deno.test("delete succeeds and logs when the sandbox does not end cleanly", async () => {
  const world = await worldIn("stopped");
  world.onEnd = () => Promise.reject(new Error("still mounted"));
  assert.equal((await world.service.delete(c1)).exitStatus, 3);
  assert.match(world.log.at("error").join(), /did not end cleanly: still mounted/);
  assert.equal(world.service.isClean, false);
});

Deno.test("isClean is false once a sandbox, complete or not, left something behind", async () => {
  assert.equal((await worldIn("deleted")).service.isClean, true);
  const world = await worldIn("none");
  world.onCreate = () => Promise.reject(new Error("no kernel"));
  await assert.rejects(world.service.create(request));
  assert.equal(world.service.isClean, true);
  const inner = new SuppressedError(new Error("no such process"), new Error("no kernel"));
  world.onCreate = () => Promise.reject(new SuppressedError(new Error("still mounted"), inner));
  await assert.rejects(world.service.create(request), { message: "no kernel" });
  assert.equal(world.service.isClean, false);
  const [first, second] = world.log.at("error");
  assert.match(first!, /no such process/);
  assert.match(second!, /still mounted/);
});

Deno.test("end waits for a create to be undone, and refuses another one", async () => {
  const world = new World();
  const create = held();
  world.onCreate = async () => {
    await create.promise;
    world.trace.push("create is undone");
    throw new Error("cancelled");
  };
  const creating = assert.rejects(world.service.create(request), /cancelled/);
  const ended = world.service.end().then(() => world.trace.push("ended"));
  await settle();
  assert.deepEqual(world.news(), []);
  create.release();
  await Promise.all([creating, ended]);
  assert.deepEqual(world.news(), ["create is undone", "ended"]);
  assert.equal(await outcome(() => world.service.create(request)), "Unavailable");
});

Deno.test("end publishes that the container was killed", async () => {
  const world = await worldIn("running");
  const waiting = world.service.wait(c1);
  await world.service.end();
  assert.equal((await waiting).exitStatus, 137);
  assert.deepEqual(world.news(), ["sandbox ends", `/tasks/exit 137 pid ${QEMU}`]);
  assert.equal(world.graceMs, SHUTDOWN_TIMEOUT_MS, "shutdown_timeout_seconds");
  await (await worldIn("none")).service.end();
  const stopped = await worldIn("stopped");
  await stopped.service.end();
  assert.deepEqual(stopped.news(), ["sandbox ends"]);
});

Deno.test("OOM is published for containers of this shim alone", async () => {
  const world = await worldIn("running");
  world.listener!.onOom("c2");
  world.listener!.onOom("c1");
  world.exit(137);
  await world.service.wait(c1);
  assert.deepEqual(world.news(), ["/tasks/oom", `/tasks/exit 137 pid ${QEMU}`]);
});
