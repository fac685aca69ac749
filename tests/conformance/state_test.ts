/** Every method in every state of a container and of an exec, and the events of a whole life. */

import assert from "node:assert/strict";
import { Box, processAny, resourcesAny } from "./box.ts";
import { processSpec } from "./bundle.ts";
import { conformance } from "./conformance.ts";
import { codeOf, type Host, IS_OURS } from "./shim.ts";

const [SIGTERM, SIGKILL] = [15, 9];
const [CREATED, RUNNING, STOPPED, PAUSED] = [1, 2, 3, 4];
const OK = "OK", NO = "NotFound";
/**
 * Code of a call that the state forbids. containerd's own shim has none and answers Unknown; ours
 * has one, so that a client can tell it from a fault.
 */
const EARLY = IS_OURS ? "FailedPrecondition" : "Unknown";
/** Methods that succeed in every state of a container. */
const ALWAYS = { state: OK, connect: OK, closeIO: OK, shutdown: OK };
const AGAIN = IS_OURS ? { create: "AlreadyExists" } : {};
/**
 * containerd's own shim (2.x) refuses it too, and then counts the exec's exit twice: two exit
 * events, and a panic ("makechan: size out of range") when the init exits.
 */
const TWICE = IS_OURS ? { start: EARLY } : {};

type Methods = Readonly<Record<string, (who: { id: string; execId: string }) => Promise<unknown>>>;

function methodsOf({ task, shim }: Box): Methods {
  const spec = processAny(processSpec(["sleep", "1000"]));
  const limits = resourcesAny({ pids: { limit: 100 } });
  return {
    create: ({ id }) => task.create({ id, bundle: shim.bundle }),
    start: (who) => task.start(who),
    state: (who) => task.state(who),
    delete: (who) => task.delete(who),
    pids: ({ id }) => task.pids({ id }),
    pause: ({ id }) => task.pause({ id }),
    resume: ({ id }) => task.resume({ id }),
    kill: (who) => task.kill({ ...who, signal: SIGTERM }),
    exec: (who) => task.exec({ ...who, spec }),
    resizePty: (who) => task.resizePty({ ...who, width: 80, height: 25 }),
    closeIO: (who) => task.closeIO({ ...who, stdin: true }),
    update: ({ id }) => task.update({ id, resources: limits }),
    stats: ({ id }) => task.stats({ id }),
    checkpoint: ({ id }) => task.checkpoint({ id, path: "/nowhere" }),
    connect: ({ id }) => task.connect({ id }),
    shutdown: ({ id }) => task.shutdown({ id }),
  };
}

/** A container under test, and its methods. */
class Subject {
  readonly box: Box;
  readonly #methods: Methods;

  constructor(box: Box) {
    this.box = box;
    this.#methods = methodsOf(box);
  }

  /** Calls each method of `wanted` in turn, and compares the codes. */
  async expect(
    when: string,
    who: { execId?: string },
    wanted: Record<string, string>,
  ): Promise<void> {
    const { id } = this.box;
    const got: Record<string, string> = {};
    for (const name of Object.keys(wanted)) {
      got[name] = await codeOf(this.#methods[name]!({ id, execId: "", ...who }));
    }
    assert.deepEqual({ when, ...got }, { when, ...wanted });
  }

  async status(execId = ""): Promise<number> {
    return (await this.box.task.state({ id: this.box.id, execId })).status;
  }
}

conformance("every method in every state", async (host, t) => {
  await using box = await Box.create(host, ["sleep", "1000"], { streams: {} });
  const subject = new Subject(box);
  await created(t, subject);
  await running(t, subject);
  await paused(t, subject);
  await stopped(t, subject);
  await events(t, subject, host);
});

async function created(t: Deno.TestContext, subject: Subject): Promise<void> {
  await t.step("a created container", async () => {
    assert.equal(await subject.status(), CREATED);
    await subject.expect("created", {}, {
      ...{ ...ALWAYS, ...AGAIN, pids: OK, stats: OK, update: OK, resizePty: OK },
      ...{ pause: EARLY, resume: EARLY, checkpoint: EARLY },
    });
    await subject.expect("created", { execId: "none" }, {
      start: NO,
      state: NO,
      kill: NO,
      delete: NO,
    });
  });
}

async function running(t: Deno.TestContext, subject: Subject): Promise<void> {
  const { box } = subject;
  const { id, task } = box;
  await t.step("a running container, and execs in each state", async () => {
    await box.start();
    assert.equal(await subject.status(), RUNNING);
    await subject.expect("running", {}, {
      ...{ ...ALWAYS, ...AGAIN, pids: OK, stats: OK, update: OK, resizePty: OK },
      ...{ start: EARLY, delete: EARLY, resume: EARLY },
    });
    const e = { execId: "e" };
    // containerd's own shim wraps this error, and so loses the code.
    const closeIO = IS_OURS ? NO : "Unknown";
    const none = { start: NO, state: NO, kill: NO, closeIO, resizePty: NO, delete: NO };
    await subject.expect("exec: none", e, none);
    await subject.expect("exec: added", e, { exec: OK, state: OK, resizePty: OK, closeIO: OK });
    assert.equal(await subject.status("e"), CREATED);
    await subject.expect("exec: running", e, { exec: "AlreadyExists", start: OK, state: OK });
    assert.equal(await subject.status("e"), RUNNING);
    await subject.expect("exec: running", e, {
      ...TWICE,
      delete: EARLY,
      resizePty: OK,
      closeIO: OK,
    });
    await task.kill({ id, ...e, signal: SIGKILL });
    assert.equal((await task.wait({ id, ...e })).exitStatus, 137);
    assert.equal(await subject.status("e"), STOPPED);
    await subject.expect("exec: stopped", e, { state: OK, kill: NO, start: EARLY, closeIO: OK });
    await subject.expect("exec: stopped", e, { exec: "AlreadyExists", delete: OK, state: NO });
    await subject.expect("exec: deleted", e, none);
  });
}

async function paused(t: Deno.TestContext, subject: Subject): Promise<void> {
  const { box } = subject;
  const { id, task } = box;
  await t.step(
    "a paused container, whose processes stand still",
    async () => {
      await using ticks = await box.exec([
        "sh",
        "-c",
        "while :; do echo tick; done | head -c 90000000",
      ], {
        streams: { stdout: true },
      });
      await ticks.start();
      await ticks.stdio.shows("tick");
      await task.pause({ id });
      assert.equal(await subject.status(), PAUSED);
      await subject.expect("paused", {}, {
        ...{ ...ALWAYS, ...AGAIN, pids: OK, stats: OK, update: OK },
        ...{ start: EARLY, delete: EARLY, pause: EARLY },
      });
      await subject.expect("paused", { execId: "e" }, { exec: EARLY });
      const { processes } = await task.pids({ id });
      assert.ok(processes.length >= 2);
      await task.resume({ id });
      assert.equal(await subject.status(), RUNNING);
      await ticks.kill(SIGKILL);
      assert.equal(await ticks.wait(), 137);
    },
  );

  await t.step("a paused container can be killed", async () => {
    await task.pause({ id });
    await task.kill({ id, signal: SIGKILL });
    assert.equal((await task.wait({ id })).exitStatus, 137);
  });
}

async function stopped(t: Deno.TestContext, subject: Subject): Promise<void> {
  const { box } = subject;
  const { id, task } = box;
  await t.step("a stopped container", async () => {
    const { status, exitStatus, exitedAt, bundle } = await task.state({ id });
    assert.deepEqual([status, exitStatus, bundle], [STOPPED, 137, box.shim.bundle]);
    assert.ok(Math.abs(Number(exitedAt!.seconds) - Date.now() / 1000) < 60);
    await subject.expect("stopped", {}, {
      ...{ ...ALWAYS, ...AGAIN, start: EARLY, kill: NO, pause: EARLY, resume: EARLY },
      ...{ exec: EARLY, checkpoint: EARLY },
    });
    await subject.expect("stopped", {}, { delete: OK });
  });

  await t.step("a deleted container", async () => {
    await subject.expect("deleted", {}, {
      ...{ start: NO, state: NO, kill: NO, pause: NO, resume: NO, exec: NO, delete: NO, pids: NO },
      ...{ stats: NO, update: NO, closeIO: NO, resizePty: NO, checkpoint: NO },
    });
  });
}

async function events(t: Deno.TestContext, { box }: Subject, host: Host): Promise<void> {
  const { id } = box;
  await t.step("events report the whole life, in order", async () => {
    await host.events.wait("/tasks/delete", id);
    const own = host.events.of(id).filter(({ execId }) => execId === "");
    assert.deepEqual(own.map(({ topic }) => topic.replace("/tasks/", "")), [
      ...["create", "start", "paused", "resumed", "paused", "exit", "delete"],
    ]);
    const [created] = own;
    assert.equal(created!.body["bundle"], box.shim.bundle);
    const pids = new Set(own.flatMap(({ pid }) => pid === undefined ? [] : [pid]));
    assert.deepEqual([...pids].length, 1);
  });
}
