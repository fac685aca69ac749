import assert from "node:assert/strict";
import { SIG } from "../../ffi/mod.ts";
import { Code, events as containerdEvents, taskTypes, unpackAny } from "../../proto/mod.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { Machine } from "./machine.ts";

const { Status } = taskTypes;
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const sh = (script: string): string[] => ["sh", "-c", script];

/** Exec processes, with the real crun. */
Deno.test({
  name: "exec in a machine",
  ignore: !IN_TESTBED,
  fn: async (t) => {
    await using machine = await Machine.boot();
    await machine.create("c", ["sleep", "1000"]);
    await machine.task.start({ id: "c" });
    await outcomes(t, machine);
    await refusals(t, machine);
    await ends(t, machine);
  },
});

async function outcomes(t: Deno.TestContext, machine: Machine): Promise<void> {
  await t.step("exit code, stdout, stderr and stdin arrive", async () => {
    const input = new TextEncoder().encode("in\n");
    const { code, stdout, stderr } = await machine.runExec(
      "c",
      "e",
      sh("cat; echo out; echo err >&2; exit 42"),
      { input },
    );
    assert.deepEqual([code, text(stdout), stderr], [42, "in\nout\n", "err\n"]);
  });

  await t.step("it gets its directory, user, environment and capabilities", async () => {
    const { stdout } = await machine.runExec(
      "c",
      "e",
      sh("pwd; id -u; id -g; echo $COLOUR; grep CapEff /proc/self/status"),
      {
        process: {
          cwd: "/tmp",
          user: { uid: 1000, gid: 100 },
          env: ["PATH=/bin", "COLOUR=blue"],
          capabilities: { bounding: [], effective: [], permitted: [] },
        },
      },
    );
    assert.equal(text(stdout), "/tmp\n1000\n100\nblue\nCapEff:\t0000000000000000\n");
  });

  await t.step("it is in the container's namespaces and cgroup", async () => {
    const { stdout } = await machine.runExec("c", "e", sh("cat /proc/1/cmdline /proc/1/cgroup"));
    assert.equal(text(stdout), "sleep\x001000\x000::/\n");
  });

  await t.step("4 MiB of output arrive from a process that exits at once", async () => {
    const { stdout } = await machine.runExec("c", "e", sh("yes | head -c 4194304"));
    assert.equal(stdout.length, 4 << 20);
  });

  await t.step("fifty at once get their own exit codes and output", async () => {
    const outcome = async (index: number): Promise<string> => {
      const { code, stdout } = await machine.runExec(
        "c",
        `e${index}`,
        sh(`echo ${index}; exit ${index}`),
      );
      return `${code} ${text(stdout)}`;
    };
    assert.deepEqual(
      await Promise.all(Array.from({ length: 50 }, (_, index) => outcome(index))),
      Array.from({ length: 50 }, (_, index) => `${index} ${index}\n`),
    );
  });
}

async function refusals(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task } = machine;
  const refused = async (args: string[], process: Record<string, unknown>, message: RegExp) => {
    await machine.exec("c", "bad", args, { io: "oe", process });
    await assert.rejects(task.start({ id: "c", execId: "bad" }), (error) => {
      assert.match((error as Error).message, message);
      return true;
    });
    await task.delete({ id: "c", execId: "bad" });
  };

  await t.step("a command that cannot run fails Start in runc's words", async () => {
    await refused(
      ["no-such-program"],
      {},
      /^OCI runtime exec failed: exec failed: .*exec: "no-such-program": executable file not found in \$PATH$/,
    );
    await refused(["/no/such"], {}, /^OCI runtime exec failed: exec failed: .*\/no\/such.*/);
    await refused(["/proc/self/status"], {}, /^OCI runtime exec failed: .*is not executable/);
    await refused(["true"], { cwd: "/none" }, /^OCI runtime exec failed: .*\/none/);
    assert.equal((await task.state({ id: "c" })).status, Status.RUNNING);
    assert.equal((await machine.runExec("c", "e", ["true"])).code, 0);
  });

  await t.step("an exec that never started can be deleted", async () => {
    await machine.exec("c", "e", ["true"], { io: "ioe" });
    await task.delete({ id: "c", execId: "e" });
    await assert.rejects(
      task.state({ id: "c", execId: "e" }),
      (error) => (error as { code?: Code }).code === Code.NotFound,
    );
  });
}

async function ends(t: Deno.TestContext, machine: Machine): Promise<void> {
  const { task, system } = machine;
  await t.step("SIGTERM gives 143, SIGKILL 137, and a signal after the exit NotFound", async () => {
    for (const [signal, status] of [[SIG.TERM, 143], [SIG.KILL, 137]] as const) {
      await machine.exec("c", "e", ["sleep", "1000"]);
      await task.start({ id: "c", execId: "e" });
      await task.kill({ id: "c", execId: "e", signal });
      assert.equal((await task.wait({ id: "c", execId: "e" })).exitStatus, status);
      await assert.rejects(
        task.kill({ id: "c", execId: "e", signal }),
        (error) => (error as { code?: Code }).code === Code.NotFound,
      );
      await task.delete({ id: "c", execId: "e" });
    }
  });

  await t.step("the init's exit kills all execs, and is reported last", async () => {
    for (const execId of ["e1", "e2"]) {
      await machine.exec("c", execId, ["sleep", "1000"], { io: "oe" });
      await task.start({ id: "c", execId });
    }
    await task.kill({ id: "c", signal: SIG.KILL });
    const told: string[] = [];
    for await (const { event } of system.events({})) {
      const { containerId, id, exitStatus } = unpackAny(containerdEvents.TaskExitSchema, event!);
      assert.equal(containerId, "c");
      told.push(`${id} ${exitStatus}`);
      if (id === "c") break;
    }
    assert.deepEqual(told.slice(-3).sort(), ["c 137", "e1 137", "e2 137"]);
    assert.equal(told.at(-1), "c 137");
    assert.equal((await task.state({ id: "c", execId: "e1" })).status, Status.STOPPED);
    assert.equal(await machine.delete("c"), 137);
  });
}
