import assert from "node:assert/strict";
import {
  Code,
  encodeOciJson,
  packAny,
  parseOciJson,
  runcOptions,
  taskTypes,
} from "../../proto/mod.ts";
import { refused, withGuest } from "../testing/task_guest.ts";

const { Status } = taskTypes;
const options = (asked: { exit?: boolean; fileLocks?: boolean }) =>
  packAny(runcOptions.CheckpointOptionsSchema, asked);
const FOREVER = "exec sleep 1000";

Deno.test("a container keeps its state after a checkpoint", () =>
  withGuest(async ({ task, checkpoints, create }) => {
    await create("c1", FOREVER);
    const early = task.checkpoint({ id: "c1", path: "early" });
    await assert.rejects(early, refused(Code.FailedPrecondition, /checkpoint .* it is created/));
    await task.start({ id: "c1" });
    await task.checkpoint({ id: "c1", path: "one" });
    assert.equal((await task.state({ id: "c1" })).status, Status.RUNNING);
    await task.pause({ id: "c1" });
    await task.checkpoint({ id: "c1", path: "two", options: options({ fileLocks: true }) });
    assert.equal((await task.state({ id: "c1" })).status, Status.PAUSED);
    const again = task.checkpoint({ id: "c1", path: "two" });
    await assert.rejects(again, refused(Code.AlreadyExists, /checkpoint "two"/));
    const { files } = await checkpoints.list({ name: "two" });
    const names = files.map(({ name }) => name).sort();
    assert.deepEqual(names, ["pages.img", "qemubox-flags.json"]);
    const part = { name: "two", file: "pages.img", offsetBytes: 0n, lengthBytes: 100 };
    const { data } = await checkpoints.read(part);
    assert.equal(new TextDecoder().decode(data), "yes --file-locks\n");
    await task.kill({ id: "c1", signal: 9 });
    await task.wait({ id: "c1" });
    await task.delete({ id: "c1" });
  }));

Deno.test("a checkpoint may end its container", () =>
  withGuest(async ({ task, create }) => {
    await create("c1", FOREVER);
    await task.start({ id: "c1" });
    await task.checkpoint({ id: "c1", path: "one", options: options({ exit: true }) });
    assert.equal((await task.wait({ id: "c1" })).exitStatus, 137);
    await task.delete({ id: "c1" });
  }));

Deno.test("a failed checkpoint returns CRIU's error, leaves nothing, and the container continues", () =>
  withGuest(async ({ task, checkpoints, directory, create }) => {
    await create("c1", FOREVER);
    await task.start({ id: "c1" });
    await Deno.writeTextFile(`${directory}/crun/c1/no-checkpoint`, "");
    await assert.rejects(
      task.checkpoint({ id: "c1", path: "one" }),
      refused(Code.Unknown, /checkpointing failed -52: \(criu\/x\.c:1\): no such thing/),
    );
    await assert.rejects(
      checkpoints.list({ name: "one" }),
      refused(Code.FailedPrecondition, /no checkpoint "one"/),
    );
    assert.equal((await task.state({ id: "c1" })).status, Status.RUNNING);
    await task.kill({ id: "c1", signal: 9 });
    await task.wait({ id: "c1" });
    await task.delete({ id: "c1" });
  }));

Deno.test("start restores a container from a checkpoint, with its writable layer", () =>
  withGuest(async ({ task, checkpoints, directory, create, output }) => {
    await create("c1", FOREVER);
    const upper = (id: string) => `${directory}/bundle-${id}/writable/upper`;
    await Deno.mkdir(`${upper("c1")}/etc`, { recursive: true });
    await Deno.writeTextFile(`${upper("c1")}/etc/changed`, "by c1");
    await task.start({ id: "c1" });
    await task.checkpoint({ id: "c1", path: "one", options: options({ fileLocks: true }) });

    await assert.rejects(
      create("c2", "exit 5", "o", "one"),
      refused(
        Code.FailedPrecondition,
        /needs a writable root file system, which this container does not have/,
      ),
    );
    await Deno.mkdir(upper("c3"), { recursive: true });
    const mounts = [
      { destination: "/a", type: "bind", source: "hosts" },
      { destination: "/b", source: "shares/v", options: ["rbind", "ro"] },
      { destination: "/c", type: "bind", source: "/dev/null" },
      { destination: "/d", type: "tmpfs", source: "tmpfs" },
    ];
    const config = `${directory}/bundle-c3/config.json`;
    const rlimits = [{ type: "RLIMIT_NOFILE", hard: 2n ** 64n - 1n, soft: 1024 }];
    await Deno.writeFile(config, encodeOciJson({ process: { rlimits }, mounts }));
    assert.equal(
      await task.create({
        ...{ id: "c3", bundle: `${directory}/bundle-c3`, stdout: "c3/stdout", checkpoint: "one" },
      }).then(({ pid }) => pid),
      0,
    );
    const named = parseOciJson(await Deno.readTextFile(config)) as { mounts: typeof mounts };
    assert.deepEqual(
      named.mounts.map(({ source }) => source.replace(directory, "")),
      ["/bundle-c3/hosts", "/bundle-c3/shares/v", "/dev/null", "tmpfs"],
    );
    await Deno.writeTextFile(`${directory}/bundle-c3/command`, "exit 5");
    assert.equal((await task.state({ id: "c3" })).status, Status.CREATED);
    const out = output("c3");
    out.catch(() => {}); // awaited below
    const { pid } = await task.start({ id: "c3" });
    assert.ok(pid > 1);
    assert.equal((await task.wait({ id: "c3" })).exitStatus, 5);
    assert.equal(await out, "restored --file-locks\n");
    assert.equal(await Deno.readTextFile(`${upper("c3")}/etc/changed`), "by c1");
    const restored = await Deno.readTextFile(`${directory}/crun/c3/config.json`);
    assert.match(restored, /"rlimits":\[\{"type":"RLIMIT_NOFILE","hard":18446744073709551615,/);
    await assert.rejects(
      checkpoints.list({ name: "one" }),
      refused(Code.FailedPrecondition, /no checkpoint "one"/),
    );
    await task.delete({ id: "c3" });
    await task.kill({ id: "c1", signal: 9 });
    await task.wait({ id: "c1" });
    await task.delete({ id: "c1" });
  }));

Deno.test("a container whose restore failed can be killed and deleted", () =>
  withGuest(async ({ task, checkpoints, create }) => {
    const data = new TextEncoder().encode("not CRIU's");
    await checkpoints.write({ name: "bad", file: "x", offsetBytes: 0n, data });
    await create("c1", "exit 0", "", "bad");
    await assert.rejects(task.start({ id: "c1" }), refused(Code.Unknown, /CRIU restoring failed/));
    assert.equal((await task.state({ id: "c1" })).status, Status.CREATED);
    const wait = task.wait({ id: "c1" });
    assert.equal((await task.delete({ id: "c1" })).exitStatus, 0);
    assert.equal((await wait).exitStatus, 0);
    await create("c3", "exit 0", "", "bad");
    await task.kill({ id: "c3", signal: 9 });
    assert.equal((await task.wait({ id: "c3" })).exitStatus, 137);
    const again = task.kill({ id: "c3", signal: 9 });
    await assert.rejects(again, refused(Code.NotFound, /process already finished/));
    assert.equal((await task.delete({ id: "c3" })).exitStatus, 137);
    await assert.rejects(
      create("c2", "exit 0", "", "none"),
      refused(Code.FailedPrecondition, /no checkpoint "none"/),
    );
  }));
