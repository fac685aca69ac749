/** Every method in every state of a container and of an exec, and the events of the whole life. */

import assert from "node:assert/strict";
import { AnySchema, create } from "../../proto/mod.ts";
import { Box, processAny } from "./box.ts";
import { processSpec } from "./bundle.ts";
import { conformance } from "./conformance.ts";
import { codeOf, IS_OURS } from "./shim.ts";

const [SIGTERM, SIGKILL] = [15, 9];
const [CREATED, RUNNING, STOPPED, PAUSED] = [1, 2, 3, 4];
const OK = "OK", NO = "NotFound";
/**
 * Refused because of the state. containerd's own shim has no code for it and says Unknown; ours says
 * what it is, so that a client can tell it from a fault.
 */
const EARLY = IS_OURS ? "FailedPrecondition" : "Unknown";

conformance("every method in every state", async (host, t) => {
  await using box = await Box.create(host, ["sleep", "1000"], { streams: {} });
  const { id, task } = box;
  const spec = processAny(processSpec(["sleep", "1000"]));
  const limits = create(AnySchema, {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
    value: new TextEncoder().encode(JSON.stringify({ pids: { limit: 100 } })),
  });
  const methods: Record<string, (who: { id: string; execId: string }) => Promise<unknown>> = {
    create: ({ id }) => task.create({ id, bundle: box.shim.bundle }),
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
  /** Calls each of these methods, and compares what they end with. */
  const expect = async (when: string, who: { execId?: string }, wanted: Record<string, string>) => {
    const got: Record<string, string> = {};
    for (const name of Object.keys(wanted)) {
      got[name] = await codeOf(methods[name]!({ id, execId: "", ...who }));
    }
    assert.deepEqual({ when, ...got }, { when, ...wanted });
  };
  const status = async (execId = "") => (await task.state({ id, execId })).status;
  /** What a container does not mind, whatever it does. */
  const always = { state: OK, connect: OK, closeIO: OK, shutdown: OK };
  const again = IS_OURS ? { create: "AlreadyExists" } : {};
  /**
   * containerd's own shim (2.x) refuses it, too, and then counts the exec's end twice: two exit events,
   * and a panic ("makechan: size out of range") when the init ends.
   */
  const twice = IS_OURS ? { start: EARLY } : {};

  await t.step("a container that is created", async () => {
    assert.equal(await status(), CREATED);
    await expect("created", {}, {
      ...{ ...always, ...again, pids: OK, stats: OK, update: OK, resizePty: OK },
      ...{ pause: EARLY, resume: EARLY, checkpoint: EARLY },
    });
    await expect("created", { execId: "none" }, { start: NO, state: NO, kill: NO, delete: NO });
  });

  await t.step("a container that runs, and execs in each state", async () => {
    await box.start();
    assert.equal(await status(), RUNNING);
    await expect("running", {}, {
      ...{ ...always, ...again, pids: OK, stats: OK, update: OK, resizePty: OK },
      ...{ start: EARLY, delete: EARLY, resume: EARLY },
    });
    const e = { execId: "e" };
    // containerd's own shim wraps what it says here, and so loses the code.
    const closeIO = IS_OURS ? NO : "Unknown";
    const none = { start: NO, state: NO, kill: NO, closeIO, resizePty: NO, delete: NO };
    await expect("exec: none", e, none);
    await expect("exec: added", e, { exec: OK, state: OK, resizePty: OK, closeIO: OK });
    assert.equal(await status("e"), CREATED);
    await expect("exec: running", e, { exec: "AlreadyExists", start: OK, state: OK });
    assert.equal(await status("e"), RUNNING);
    await expect("exec: running", e, { ...twice, delete: EARLY, resizePty: OK, closeIO: OK });
    await task.kill({ id, ...e, signal: SIGKILL });
    assert.equal((await task.wait({ id, ...e })).exitStatus, 137);
    assert.equal(await status("e"), STOPPED);
    await expect("exec: stopped", e, { state: OK, kill: NO, start: EARLY, closeIO: OK });
    await expect("exec: stopped", e, { exec: "AlreadyExists", delete: OK, state: NO });
    await expect("exec: deleted", e, none);
  });

  await t.step(
    "a container that is paused: it is asked and told as before, and stands still",
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
      assert.equal(await status(), PAUSED);
      await expect("paused", {}, {
        ...{ ...always, ...again, pids: OK, stats: OK, update: OK },
        ...{ start: EARLY, delete: EARLY, pause: EARLY },
      });
      await expect("paused", { execId: "e" }, { exec: EARLY });
      const { processes } = await task.pids({ id });
      assert.ok(processes.length >= 2);
      await task.resume({ id });
      assert.equal(await status(), RUNNING);
      await ticks.kill(SIGKILL);
      assert.equal(await ticks.wait(), 137);
    },
  );

  await t.step("a container that is killed while it is paused ends", async () => {
    await task.pause({ id });
    await task.kill({ id, signal: SIGKILL });
    assert.equal((await task.wait({ id })).exitStatus, 137);
  });

  await t.step("a container that has stopped", async () => {
    const { status, exitStatus, exitedAt, bundle } = await task.state({ id });
    assert.deepEqual([status, exitStatus, bundle], [STOPPED, 137, box.shim.bundle]);
    assert.ok(Math.abs(Number(exitedAt!.seconds) - Date.now() / 1000) < 60);
    await expect("stopped", {}, {
      ...{ ...always, ...again, start: EARLY, kill: NO, pause: EARLY, resume: EARLY },
      ...{ exec: EARLY, checkpoint: EARLY },
    });
    await expect("stopped", {}, { delete: OK });
  });

  await t.step("a container that is deleted is not there", async () => {
    await expect("deleted", {}, {
      ...{ start: NO, state: NO, kill: NO, pause: NO, resume: NO, exec: NO, delete: NO, pids: NO },
      ...{ stats: NO, update: NO, closeIO: NO, resizePty: NO, checkpoint: NO },
    });
  });

  await t.step("the events were told, in order", async () => {
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
});
