/** A container's processes on the host are in the cgroup that its specification names. */

import assert from "node:assert/strict";
import { Events } from "../lib/containerd_events.ts";
import {
  forceRemove,
  FOREVER,
  killTask,
  removeContainer,
  startDetached,
} from "../lib/containers.ts";
import { delay, isThere, readIfPresent } from "../../base/mod.ts";
import { configured } from "../lib/configured.ts";
import { Client, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { FULL } from "../lib/environment.ts";
import { KILLED_STATUS } from "../lib/kills.ts";
import { kill, sandboxProcesses, shimOf } from "../lib/sandbox_processes.ts";
import { type Bench, logLines } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";
import { lab } from "./lab.ts";

for (const how of ["task rm", "SIGKILL of the shim"] as const) {
  lab(
    `shim, QEMU and helpers are in one host cgroup, which is gone after ${how}`,
    async (bench) => {
      const id = bench.newId();
      const path = `/lab-parent/${id}`;
      const flags = ["-d", "--cgroup", path, "--memory-limit", String(64 << 20)];
      await ctrOk(...runArguments(id, FOREVER, { flags }));
      const processes = sandboxProcesses(id);
      assert(processes.some(({ role }) => role === "qemu"));
      assert(processes.some(({ role }) => role === "virtiofsd"));
      for (const { pid, role } of processes) {
        assert.equal(Deno.readTextFileSync(`/proc/${pid}/cgroup`), `0::${path}\n`, role);
      }
      if (how === "task rm") await ctrOk("task", "kill", "--signal", "SIGKILL", id);
      else kill(shimOf(id), "SIGKILL");
      await until("exit of the task", patience(10_000), async () => {
        const line = await task(id);
        return line === null || line.status === "STOPPED" || null;
      });
      // The frame checks that no cgroup is left.
      await removeContainer(id);
    },
  );
}

const MIB = 1 << 20;
/** Of a container of 64 MiB: 256 more for the guest, rounded up to 128; and the host's overhead. */
const VM_MIB = 384, OVERHEAD_MIB = 256;
/** Memory that the guest takes beyond its container's limit. */
const TAKEN_MIB = 96;

lab(
  "a guest whose root lifts its limits stays within those on the host",
  async (bench) => {
    const id = bench.newId();
    const path = `/lab-parent/${id}`;
    // Memory and two loops in the guest's root cgroup, where the container's limits do not hold.
    const script = `mkdir /cg /t && mount -t cgroup2 none /cg && echo $$ > /cg/cgroup.procs
      mount -t tmpfs none /t && head -c ${TAKEN_MIB}m /dev/zero >/t/taken && echo out
      while :; do :; done & while :; do :; done`;
    const flags = [
      ...["-d", "--privileged", "--cgroup", path, "--memory-limit", String(64 * MIB)],
      ...["--cpu-quota", "50000", "--cpu-period", "100000", "--log-uri", "file:///tmp/host-cgroup"],
    ];
    try {
      await ctrOk(...runArguments(id, ["sh", "-c", script], { flags }));
      const cgroup = `/sys/fs/cgroup${path}`;
      const read = (name: string) => Deno.readTextFileSync(`${cgroup}/${name}`).trim();
      assert.equal(read("cpu.max"), "75000 100000");
      assert(Number(read("memory.max")) >= (VM_MIB + OVERHEAD_MIB) * MIB, read("memory.max"));
      assert.equal(read("pids.max"), "1025");
      await until("the container's way out", patience(60_000), () => {
        return Deno.readTextFileSync("/tmp/host-cgroup").includes("out") || null;
      });
      const used = () => Number(/^usage_usec (\d+)/m.exec(read("cpu.stat"))![1]);
      const before = { used: used(), at: performance.now() };
      await delay(5_000);
      const share = (used() - before.used) / 1_000 / (performance.now() - before.at);
      assert(share < 0.8, `${share} CPUs`);
      assert(Number(read("memory.current")) > TAKEN_MIB * MIB, read("memory.current"));
      assert.match(read("memory.events"), /^oom_kill 0$/m);
    } finally {
      await forceRemove(id);
      Deno.removeSync("/tmp/host-cgroup");
    }
  },
);

/** Left to a VM, and what its guest takes then: more than the page cache that can be dropped. */
const SPARE_MIB = 8, WANTED_MIB = 256;

/**
 * Only under `--full`: two VMs at once and a shortage of memory are more than the lab's emulated
 * CPU stands every time. When it fails, the lab ends with all that was still to run in it.
 */
if (FULL) {
  lab(
    "a VM that meets the memory.max of a cgroup above it is named in the log, and alone ends",
    meetsLimitAbove,
  );
}

async function meetsLimitAbove(bench: Bench): Promise<void> {
  const [id, other] = [bench.newId(), bench.newId("other")];
  const parent = "/lab-small";
  await using events = await Events.open();
  await startDetached(other);
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d", "--cgroup", `${parent}/${id}`] }));
  const cgroup = `/sys/fs/cgroup${parent}`;
  const used = Number(Deno.readTextFileSync(`${cgroup}/memory.current`));
  Deno.writeTextFileSync(`${cgroup}/memory.max`, String(used + SPARE_MIB * MIB));
  const take = ["dd", "if=/dev/zero", "of=/dev/null", `bs=${WANTED_MIB}M`, "count=1"];
  await using _taking = new Client(["task", "exec", "--exec-id", "take", id, ...take]);
  const { body } = await events.wait("/tasks/exit", id, patience(30_000));
  assert.equal(body["exit_status"], KILLED_STATUS);
  const lost = logLines(id).filter((line) => line.includes("the VM is lost")).join("\n");
  assert.match(lost, /the host's OOM killer: cgroup \/lab-small has reached its memory\.max/);
  assert.equal(await ctrOk("task", "exec", "--exec-id", "on", other, "echo", "on"), "on\n");
  await removeContainer(id);
  await forceRemove(other);
}

lab("host_limits = off sets none", async (bench) => {
  using _ = configured({ host_limits: "off" });
  const id = bench.newId();
  const path = `/lab-parent/${id}`;
  const flags = ["-d", "--cgroup", path, "--cpu-quota", "50000", "--cpu-period", "100000"];
  await ctrOk(...runArguments(id, FOREVER, { flags }));
  for (const file of ["cpu.max", "memory.max", "pids.max"]) {
    const text = readIfPresent(`/sys/fs/cgroup${path}/${file}`) ?? "max";
    assert.match(text, /^max/, file);
  }
  await killTask(id);
  await removeContainer(id);
});

lab(
  "shim, QEMU and helpers are in a scope of systemd, which ends with them",
  async (bench) => {
    await using manager = await Manager.start();
    const id = bench.newId();
    const flags = ["-d", "--cgroup", `lab-vms.slice:qemubox:${id}`];
    await ctrOk(...runArguments(id, FOREVER, { flags }));
    const processes = sandboxProcesses(id);
    assert(processes.some(({ role }) => role === "qemu"));
    const cgroup = `${manager.cgroup}/lab.slice/lab-vms.slice/qemubox-${id}.scope`;
    for (const { pid, role } of processes) {
      assert.equal(Deno.readTextFileSync(`/proc/${pid}/cgroup`), `0::${cgroup}\n`, role);
    }
    kill(shimOf(id), "SIGKILL");
    await until("end of the scope", patience(20_000), () => {
      return !isThere(`/sys/fs/cgroup${cgroup}`) || null;
    });
    await removeContainer(id);
  },
);

/**
 * A systemd that is not PID 1 and keeps its units below its own cgroup, and a systemd-run that
 * talks to it.
 */
class Manager implements AsyncDisposable {
  readonly cgroup = "/lab-systemd";
  readonly #runtime = Deno.makeTempDirSync();
  readonly #undo = new AsyncDisposableStack();

  static async start(): Promise<Manager> {
    const manager = new Manager();
    await manager.#start();
    return manager;
  }

  async #start(): Promise<void> {
    const undo = this.#undo;
    undo.defer(() => Deno.removeSync(this.#runtime, { recursive: true }));
    // Its presence says that systemd runs here: sd_booted(3).
    Deno.mkdirSync("/run/systemd/system", { recursive: true });
    undo.defer(() => Deno.removeSync("/run/systemd", { recursive: true }));
    const run = "/usr/local/sbin/systemd-run";
    const script =
      `#!/bin/sh\nXDG_RUNTIME_DIR=${this.#runtime} exec /usr/bin/systemd-run --user "$@"\n`;
    Deno.writeTextFileSync(run, script, { mode: 0o755 });
    undo.defer(() => Deno.removeSync(run));
    const directory = `/sys/fs/cgroup${this.cgroup}`;
    Deno.mkdirSync(directory);
    undo.defer(() => removeCgroups(directory));
    const systemd = new Deno.Command("/bin/sh", {
      args: ["-c", `echo $$ >${directory}/cgroup.procs && exec /usr/lib/systemd/systemd --user`],
      env: { XDG_RUNTIME_DIR: this.#runtime },
      stdin: "null",
    }).spawn();
    undo.defer(async () => {
      systemd.kill("SIGKILL");
      await systemd.status;
      Deno.writeTextFileSync(`${directory}/cgroup.kill`, "1");
    });
    await until("systemd's socket", patience(20_000), () => {
      return isThere(`${this.#runtime}/systemd/private`) || null;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}

/** Removes a cgroup without processes, and all cgroups below it. */
function removeCgroups(directory: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    if (isDirectory) removeCgroups(`${directory}/${name}`);
  }
  Deno.removeSync(directory);
}
