import assert from "node:assert/strict";
import { SIG } from "../../ffi/mod.ts";
import {
  Code,
  events as containerdEvents,
  FrameReader,
  GUEST_STREAM_PORT,
  openStream,
  unpackAny,
} from "../../proto/mod.ts";
import { randomBytes, sha256 } from "../lib/bytes.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { vmProcesses } from "../qemu/guest.ts";
import { Machine } from "./machine.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const sh = (script: string): string[] => ["sh", "-c", script];

/** vminitd on its two ports, without shim and containerd. */
Deno.test({
  name: "vminitd in its machine",
  ignore: !IN_TESTBED,
  fn: async (t) => {
    const before = vmProcesses();
    {
      await using machine = await Machine.boot();
      await configureAndRun(t, machine);
      await stdio(t, machine);
      await lifecycle(t, machine);
      await refusals(t, machine);
      await isolation(t, machine);
      await end(t, machine);
    }
    assert.deepEqual(vmProcesses(), before);
  },
});

async function configureAndRun(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { system } = machine;
  await t.step("Configure sets clock and hostname, and returns kernel and timeline", async () => {
    const year2100 = 4_102_444_800n;
    const answer = await system.configure({
      unixNanoseconds: year2100 * 1_000_000_000n,
      hostname: "of-the-test",
    });
    assert.match(answer.kernelRelease, /^\d+\.\d+/);
    const points = answer.timeline.map(({ bootNanoseconds }) => bootNanoseconds);
    assert.ok(points.length >= 3);
    assert.deepEqual(points, points.toSorted((a, b) => Number(a - b)));
    const hostname = await machine.run("c", ["cat", "/proc/sys/kernel/hostname"]);
    assert.equal(text(hostname.stdout), "of-the-test\n");
    await machine.create("c", ["true"]);
    await machine.task.start({ id: "c" });
    const { exitedAt } = await machine.task.wait({ id: "c" });
    await machine.delete("c");
    assert.ok(exitedAt !== undefined && exitedAt.seconds >= year2100);
  });
}

async function stdio(t: Deno.TestContext, machine: Machine): Promise<void> {
  await t.step("exit code, stdout and stderr arrive", async () => {
    const { code, stdout, stderr } = await machine.run("c", sh("echo out; echo err >&2; exit 42"));
    assert.deepEqual([code, text(stdout), stderr], [42, "out\n", "err\n"]);
  });

  await t.step("4 MiB of random bytes arrive from a process that exits at once", async () => {
    const script = "head -c 4194304 /dev/urandom > /tmp/x; sha256sum /tmp/x >&2; exec cat /tmp/x";
    const { stdout, stderr } = await machine.run("c", sh(script));
    assert.equal(stdout.length, 4 << 20);
    assert.equal(stderr.slice(0, 64), sha256(stdout));
  });

  await t.step("4 MiB of stdin and its end arrive", async () => {
    const input = randomBytes(4 << 20);
    const { stdout } = await machine.run("c", ["sha256sum"], input);
    assert.equal(text(stdout).slice(0, 64), sha256(input));
  });

  await t.step("a container that never reads its stdin exits all the same", async () => {
    const { code } = await machine.run("c", sh("exit 7"), new Uint8Array(1 << 20));
    assert.equal(code, 7);
  });

  await t.step("a container that closes its stdin runs on", async () => {
    const script = "exec 0<&-; echo closed; exit 3";
    const { code, stdout } = await machine.run("c", sh(script), new Uint8Array(1 << 20));
    assert.deepEqual([code, text(stdout)], [3, "closed\n"]);
  });

  await t.step(
    "all output arrives at a dial after the exit; a second dial is refused",
    async () => {
      await machine.create("c", sh("yes | head -c 60000"), "o");
      await machine.task.start({ id: "c" });
      await machine.task.wait({ id: "c" });
      assert.equal((await machine.output("c")).length, 60_000);
      await assert.rejects(machine.output("c"), /connected already/);
      await machine.delete("c");
    },
  );

  await t.step("a reader that hangs up blocks nothing", async () => {
    await machine.create("c", ["yes"], "o");
    const stream = await machine.dialPort(GUEST_STREAM_PORT);
    await openStream(stream, "c/init/stdout");
    await machine.task.start({ id: "c" });
    await new FrameReader(stream).read();
    stream.close();
    await machine.system.configure({});
    assert.equal(await machine.kill("c"), 137);
  });

  await t.step("a reader that stops blocks its container and nothing else", async () => {
    await machine.create("c", ["yes"], "o");
    const stream = await machine.dialPort(GUEST_STREAM_PORT);
    await openStream(stream, "c/init/stdout");
    await machine.task.start({ id: "c" });
    assert.equal((await machine.run("d", ["true"])).code, 0);
    assert.equal(await machine.kill("c"), 137);
    stream.close();
  });
}

/** Returns a check that an error has a code and a message. */
function refusedWith(code: Code, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    const { code: actual, message: said } = error as Error & { code: Code };
    assert.equal(Code[actual], Code[code], said);
    assert.match(said, message);
    return true;
  };
}

async function lifecycle(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  await t.step("signals reach the init and all processes", async () => {
    await machine.create("c", sh("trap 'exit 5' TERM; echo ready; while :; do sleep 1; done"), "o");
    const stream = await machine.dialPort(GUEST_STREAM_PORT);
    await openStream(stream, "c/init/stdout");
    await task.start({ id: "c" });
    await new FrameReader(stream).read(); // the trap is set
    stream.close();
    await task.kill({ id: "c", signal: SIG.TERM, all: true }); // ends its sleep as well
    assert.equal((await task.wait({ id: "c" })).exitStatus, 5);
    await assert.rejects(
      task.kill({ id: "c", signal: SIG.KILL }),
      refusedWith(Code.NotFound, /process already finished/),
    );
    await machine.delete("c");
  });

  await t.step("Pids lists the processes of a container", async () => {
    await machine.create("c", sh("sleep 1000 & echo; wait"), "o");
    const stream = await machine.dialPort(GUEST_STREAM_PORT);
    await openStream(stream, "c/init/stdout");
    const { pid } = await task.start({ id: "c" });
    await new FrameReader(stream).read();
    stream.close();
    const pids = (await task.pids({ id: "c" })).processes.map((process) => process.pid);
    assert.equal(pids.length, 2);
    assert.ok(pids.includes(pid));
    assert.equal(await machine.kill("c"), 137);
  });

  await t.step("a container that never started can be deleted", async () => {
    await machine.create("c", ["sleep", "1000"], "ioe");
    assert.equal(await machine.delete("c"), 137);
  });
}

async function refusals(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task, bundles } = machine;
  await t.step("a refusal of crun is reported in its words, and leaves nothing", async () => {
    await assert.rejects(
      machine.create("c", ["no-such-program"], "ioe"),
      refusedWith(Code.InvalidArgument, /executable file `no-such-program` not found in \$PATH/),
    );
    await assert.rejects(task.state({ id: "c" }), refusedWith(Code.NotFound, /no container "c"/));
    await bundles.delete({ id: "c" });
    assert.equal((await machine.run("c", ["true"])).code, 0);
  });

  await t.step("a missing share is reported, and leaves nothing", async () => {
    const configJson = new TextEncoder().encode('{"root":{"path":"rootfs"}}');
    const lower = [{
      source: { case: "virtiofs" as const, value: { tag: "none", subdirectory: "" } },
    }];
    await assert.rejects(
      bundles.create({ id: "c", configJson, rootfs: { lower } }),
      refusedWith(Code.Internal, /mount virtiofs on/),
    );
    await assert.rejects(bundles.delete({ id: "c" }), refusedWith(Code.NotFound, /no bundle "c"/));
  });
}

async function isolation(t: Deno.TestContext, machine: Machine): Promise<void> {
  await t.step("writes stay in the VM, and are removed with the bundle", async () => {
    await machine.run("c", ["touch", "/new"]);
    const { code } = await machine.run("c", sh("[ -e /new ]"));
    assert.equal(code, 1);
  });

  await t.step("four containers at once get their own exit codes", async () => {
    const codes = await Promise.all(
      [1, 2, 3, 4].map(async (n) => (await machine.run(`c${n}`, sh(`exit ${n}`))).code),
    );
    assert.deepEqual(codes, [1, 2, 3, 4]);
  });
}

async function end(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { system, task } = machine;
  await t.step("all exits are reported in order", async () => {
    await machine.create("last", sh("exit 9"));
    await task.start({ id: "last" });
    const exits: { containerId: string; exitStatus: number }[] = [];
    for await (const { topic, event } of system.events({})) {
      assert.equal(topic, "/tasks/exit");
      exits.push(unpackAny(containerdEvents.TaskExitSchema, event!));
      if (exits.at(-1)?.containerId === "last") break;
    }
    assert.equal(exits.at(-1)?.exitStatus, 9);
    assert.deepEqual(
      exits.filter(({ containerId }) => /^c\d$/.test(containerId))
        .map(({ exitStatus }) => exitStatus).toSorted(),
      [1, 2, 3, 4],
    );
    assert.equal(exits.length > 15, true);
  });

  await t.step(
    "Shutdown with a running container is answered and ends the VM",
    async () => {
      await machine.create("c", ["sleep", "1000"]);
      await task.start({ id: "c" });
      await machine.shutdown();
      const { kind, message } = await machine.vm.exited;
      assert.equal(kind, "reset");
      assert.doesNotMatch(message, /panic/i);
      await machine.vm.shutdown(0);
    },
  );
}
