import assert from "node:assert/strict";
import { type Any, Code, RpcError } from "../../proto/mod.ts";
import type { ExecRequest } from "../plan/exec_plan.ts";
import {
  c1,
  e1,
  execRequest,
  type ExecState,
  held,
  json,
  outcome,
  QEMU,
  SIGKILL,
  worldIn,
  worldWithExec,
} from "../testing/task_world.ts";
import { settle } from "../testing/test_support.ts";
import { TaskService } from "./task_service.ts";

Deno.test("every call on an exec in every state", async () => {
  const states: ExecState[] = ["none", "added", "running", "stopped", "deleted"];
  const [no, early, ok, taken] = ["NotFound", "FailedPrecondition", "OK", "AlreadyExists"];
  const calls: Record<string, [(service: TaskService) => unknown, string[]]> = {
    exec: [(s) => s.exec(execRequest("e1")), [ok, taken, taken, taken, ok]],
    start: [(s) => s.start(e1), [no, ok, early, early, no]],
    state: [(s) => s.state(e1), [no, ok, ok, ok, no]],
    kill: [(s) => s.controls.kill({ ...e1, signal: SIGKILL, all: false }), [no, ok, ok, no, no]],
    resizePty: [(s) => s.controls.resizePty({ ...e1, width: 1, height: 1 }), [
      no,
      ok,
      ok,
      early,
      no,
    ]],
    closeIO: [(s) => s.controls.closeIO({ ...e1, stdin: true }), [no, ok, ok, ok, no]],
    delete: [(s) => s.delete(e1), [no, ok, early, ok, no]],
  };
  for (const [name, [call, expected]] of Object.entries(calls)) {
    for (const [index, state] of states.entries()) {
      const { service } = await worldWithExec(state);
      assert.equal(await outcome(() => call(service)), expected[index], `${name} when ${state}`);
    }
  }
});

Deno.test("no call finds other containers or execs", async () => {
  const { service } = await worldWithExec("running");
  const { controls } = service;
  for (const who of [{ id: "c1", execId: "e2" }, { id: "c2", execId: "" }]) {
    for (
      const call of [
        () => service.start(who),
        () => service.state(who),
        () => controls.kill({ ...who, signal: SIGKILL, all: false }),
        () => service.wait(who),
        () => controls.closeIO({ ...who, stdin: true }),
        () => controls.resizePty({ ...who, width: 1, height: 1 }),
        () => service.delete(who),
      ]
    ) assert.equal(await outcome(call), "NotFound", JSON.stringify(who));
  }
});

Deno.test("an exec's events come in order, and its delete publishes none", async () => {
  const world = await worldIn("running");
  const { service } = world;
  await service.exec(execRequest("e1"));
  assert.deepEqual(await service.start(e1), { pid: QEMU });
  const waiting = service.wait(e1);
  world.exit(4, "c1", "e1");
  const exit = await waiting;
  assert.equal(exit.exitStatus, 4);
  assert.deepEqual(await service.delete(e1), { pid: QEMU, ...exit });
  assert.deepEqual(world.news(), [
    "guest exec e1",
    "/tasks/exec-added of e1",
    "guest start e1",
    `/tasks/exec-started pid ${QEMU} of e1`,
    `/tasks/exit 4 pid ${QEMU} of e1`,
    "guest delete e1",
  ]);
  assert.equal(service.state(c1).status, 2);
});

Deno.test("exec sends the process without labels, and stream ids instead of paths", async () => {
  const world = await worldIn("running");
  const process = { args: ["sh"], cwd: "/", apparmorProfile: "p", user: { uid: 1 } };
  const spec = json("Process", process) as Any;
  await world.service.exec({ ...execRequest("e1"), stdin: "/in", stderr: "/err", spec });
  const [sent] = world.requests.slice(-1) as [{ spec: Any } & Record<string, unknown>];
  const { spec: sentSpec, ...rest } = sent;
  assert.deepEqual(rest, {
    ...{ id: "c1", execId: "e1", terminal: false },
    ...{ stdin: "c1/e1/stdin", stdout: "c1/e1/stdout", stderr: "c1/e1/stderr" },
  });
  assert.deepEqual(JSON.parse(new TextDecoder().decode(sentSpec.value)), {
    ...{ args: ["sh"], cwd: "/", user: { uid: 1 } },
  });
  const terminal = json("Process", { ...process, terminal: true }) as Any;
  await world.service.exec({
    ...execRequest("e2"),
    ...{ stderr: "/err", terminal: true, spec: terminal },
  });
  assert.equal((world.requests.at(-1) as ExecRequest).stderr, "");
});

Deno.test("state returns an exec's streams, and an exec is paused with its container", async () => {
  const world = await worldWithExec("running");
  const { id, execId, pid, status, stdout, bundle } = world.service.state(e1);
  assert.deepEqual({ id, execId, pid, status, stdout, bundle }, {
    ...{ id: "e1", execId: "e1", pid: QEMU, status: 2, stdout: "/fifo-e", bundle: "/bundle" },
  });
  await world.service.controls.pause(c1);
  assert.equal(world.service.state(e1).status, 4);
  assert.equal(world.service.state(c1).status, 4);
  await world.service.controls.resume(c1);
  assert.equal(world.service.state(e1).status, 2);
  assert.deepEqual(world.news(), [
    ...["guest pause", "/tasks/paused", "guest resume", "/tasks/resumed"],
  ]);
  assert.equal((await worldWithExec("added")).service.state(e1).pid, 0);
});

Deno.test("an exec that the guest refuses is not added, and its id is free", async () => {
  const world = await worldIn("running");
  world.onCall = () => Promise.reject(new RpcError(Code.InvalidArgument, "no such user"));
  await assert.rejects(world.service.exec(execRequest("e1")), /no such user/);
  world.onCall = () => Promise.resolve();
  world.onOpenIo = () => Promise.reject(new RpcError(Code.InvalidArgument, "no such fifo"));
  await assert.rejects(world.service.exec(execRequest("e1")), /no such fifo/);
  assert.deepEqual(world.news(), ["guest exec e1", "guest exec e1", "guest delete e1"]);
  world.onOpenIo = () => Promise.resolve();
  await world.service.exec(execRequest("e1"));
});

Deno.test("an exec's streams are dialed beside the call, and closed when it is refused", async () => {
  for (const dialed of [true, false]) {
    const world = await worldIn("running");
    const [exec, dialing] = [held(), Promise.withResolvers<AbortSignal>()];
    world.onOpenIo = (_, refused) => {
      dialing.resolve(refused);
      if (dialed) return Promise.resolve();
      const { promise, reject } = Promise.withResolvers<void>();
      refused.addEventListener("abort", () => reject(refused.reason));
      return promise;
    };
    world.onCall = async () => {
      await exec.promise;
      throw new RpcError(Code.InvalidArgument, "no such user");
    };
    const adding = outcome(() => world.service.exec(execRequest("e1")));
    const refused = await dialing.promise;
    assert.equal(refused.aborted, false);
    exec.release();
    assert.equal(await adding, "InvalidArgument");
    assert.equal(refused.aborted, true);
    assert.deepEqual(world.disposed, dialed ? ["e1"] : []);
  }
});

Deno.test("an exec id is refused while it is being added", async () => {
  const world = await worldIn("running");
  const exec = held();
  world.onCall = () => exec.promise;
  const first = world.service.exec(execRequest("e1"));
  assert.equal(await outcome(() => world.service.exec(execRequest("e1"))), "AlreadyExists");
  exec.release();
  await first;
});

Deno.test("an exec is dropped when its container is deleted meanwhile", async () => {
  const world = await worldIn("running");
  const open = held();
  world.onOpenIo = () => open.promise;
  const adding = outcome(() => world.service.exec(execRequest("e1")));
  await settle();
  world.exit(0);
  await world.service.wait(c1);
  await world.service.delete(c1);
  open.release();
  assert.equal(await adding, "NotFound");
  assert.deepEqual(world.disposed, ["", "e1"]);
});

Deno.test("an exec that cannot start stays added and publishes no exit", async () => {
  const world = await worldWithExec("added");
  world.onCall = () => Promise.reject(new RpcError(Code.NotFound, "executable file not found"));
  await assert.rejects(world.service.start(e1), /executable file not found/);
  world.onCall = () => Promise.resolve();
  world.exit(127, "c1", "e1");
  await settle();
  assert.deepEqual(world.news(), ["guest start e1"]);
  assert.equal((await world.service.delete(e1)).exitStatus, 0);
});

Deno.test("a second start, and a delete, are refused while a start is running", async () => {
  const world = await worldWithExec("added");
  const start = held();
  world.onCall = () => start.promise;
  const first = world.service.start(e1);
  assert.equal(await outcome(() => world.service.start(e1)), "FailedPrecondition");
  assert.equal(await outcome(() => world.service.delete(e1)), "FailedPrecondition");
  start.release();
  await first;
});

Deno.test("the init's exit is published after those of all execs, reported or not", async () => {
  const world = await worldWithExec("running");
  const { service } = world;
  for (const id of ["e2", "e3"]) await service.exec(execRequest(id));
  await service.start({ id: "c1", execId: "e2" });
  const drain = held();
  world.onDrain = (execId) => execId === "e1" ? drain.promise : Promise.resolve();
  world.news();
  world.exit(9, "c1", "e1");
  world.exit(3);
  await settle();
  assert.deepEqual(world.news(), [`/tasks/exit 137 pid ${QEMU} of e2`]);
  assert.equal(
    await outcome(() => service.start({ id: "c1", execId: "e3" })),
    "FailedPrecondition",
  );
  drain.release();
  assert.equal((await service.wait(c1)).exitStatus, 3);
  assert.deepEqual(world.news(), [
    `/tasks/exit 9 pid ${QEMU} of e1`,
    `/tasks/exit 3 pid ${QEMU}`,
  ]);
  // Those that nobody deleted go with the container, and whoever waits for one is told.
  const waiting = service.wait({ id: "c1", execId: "e3" });
  await service.delete(c1);
  assert.equal((await waiting).exitStatus, 0);
  assert.deepEqual(world.disposed.sort(), ["", "e1", "e2", "e3"]);
});

Deno.test("a lost VM ends its execs with 137, before its container", async () => {
  const world = await worldWithExec("running");
  world.listener!.onLost("qemu was killed");
  await world.service.wait(c1);
  assert.deepEqual(world.news(), [
    "sandbox is dropped",
    `/tasks/exit 137 pid ${QEMU} of e1`,
    `/tasks/exit 137 pid ${QEMU}`,
  ]);
  assert.equal((await world.service.delete(e1)).exitStatus, 137);
});

Deno.test("an exec that does not answer SIGKILL does not cost the VM", async () => {
  const world = await worldWithExec("running");
  world.onCall = () => Promise.reject(new RpcError(Code.DeadlineExceeded, "no answer"));
  const kill = () => world.service.controls.kill({ ...e1, signal: SIGKILL, all: false });
  assert.equal(await outcome(kill), "DeadlineExceeded");
  assert.deepEqual(world.news(), ["guest kill e1"]);
});
