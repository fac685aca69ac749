/** Settings of an administrator and of a container, through containerd. */

import assert from "node:assert/strict";
import { Events } from "../lib/containerd_events.ts";
import { removeContainer } from "../lib/containers.ts";
import { annotations, configured } from "../lib/configured.ts";
import { ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { argumentsOf, qemuOf } from "../lib/sandbox_processes.ts";
import { e2e, logLines } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const FAILED = "ctr: failed to create shim task: ";

e2e("unknown and wrong settings fail Create and are named", async (bench) => {
  const refused = async (...flags: string[]) => {
    const { code, stderr } = await ctr(
      ...runArguments(bench.newId(), ["true"], { flags: ["--rm", ...flags] }),
    );
    assert.equal(code, 1);
    return stderr.trimEnd();
  };
  assert.match(
    await refused(...annotations({ vcpu: "2" })),
    /annotation io\.qemubox\.vcpu is unknown: use one of .*io\.qemubox\.vcpus/,
  );
  assert.match(
    await refused(...annotations({ vcpus: "two" })),
    new RegExp(`^${FAILED}annotation io\\.qemubox\\.vcpus="two": `),
  );
  assert.match(await refused(...annotations({ "state-dir": "/x" })), /state-dir is unknown/);
  {
    using _ = configured({ vcpus: 2 });
    assert.match(await refused(), /\/etc\/qemubox\/config\.json: .*vcpus/);
  }
  {
    using _ = configured({ layers: "cd-rom" });
    assert.match(await refused(), /\/etc\/qemubox\/config\.json: layers .*disk/);
  }
});

e2e("an annotation overrides the file, and the file overrides the default", async (bench) => {
  // Runs a container. Returns how its VM gets the layers.
  const layers = async (...flags: string[]) => {
    const id = bench.newId();
    const arguments_ = runArguments(id, ["sleep", "3600"], {
      ...{ snapshotter: "erofs", flags: ["-d", ...flags] },
    });
    await ctrOk(...arguments_);
    const pid = qemuOf(id);
    const isDisk = argumentsOf(pid).some((argument) => argument.includes("serial=layers"));
    await ctrOk("task", "kill", "--signal", "SIGKILL", id);
    await until(
      "exit of the container",
      patience(10_000),
      async () => (await task(id))?.status === "STOPPED" || null,
    );
    await removeContainer(id);
    return isDisk ? "disk" : "files";
  };
  assert.equal(await layers(), "disk");
  using _ = configured({ layers: "files" });
  const found = [await layers(), await layers(...annotations({ layers: "disk" }))];
  assert.deepEqual(found, ["files", "disk"]);
});

e2e("boot_timeout_seconds: a guest that takes longer fails Create", async (bench) => {
  const expected = /guest did not become ready within 0\.2 s/;
  const run = (...flags: string[]) =>
    ctr(...runArguments(bench.newId(), ["true"], { flags: ["--rm", ...flags] }));
  assert.match((await run(...annotations({ "boot-timeout-seconds": "0.2" }))).stderr, expected);
  using _ = configured({ boot_timeout_seconds: 0.2 });
  assert.match((await run()).stderr, expected);
});

e2e(
  "drain_timeout_seconds: an exit waits this long for a reader that takes nothing",
  async (bench) => {
    using _ = configured({ drain_timeout_seconds: 1.5 });
    const id = bench.newId();
    await using events = await Events.open();
    // More than the pipes on the way hold, while nothing reads what ctr writes.
    const child = new Deno.Command("ctr", {
      args: runArguments(id, ["sh", "-c", "head -c 2000000 /dev/zero & sleep 1"]),
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    try {
      await events.wait("/tasks/exit", id, patience(60_000));
      const lost = logLines(id).filter((line) => line.includes("took nothing for 1500 ms"));
      assert.equal(lost.length, 1, logLines(id).join("\n"));
    } finally {
      child.kill("SIGKILL");
      await child.stdout.cancel();
      await child.status;
      await removeContainer(id);
    }
  },
);

e2e("the size of a VM: limits, defaults, annotations", async (bench) => {
  const KIB_A_MIB = 1024;
  // The kernel reports less memory than the VM has, by what it takes for itself.
  const sizes = async (...flags: string[]) => {
    const script = "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo";
    const { stdout, stderr } = await ctr(
      ...runArguments(bench.newId(), ["sh", "-c", script], { flags: ["--rm", ...flags] }),
    );
    assert.equal(stderr, "");
    const [vcpus, kib] = stdout.trim().split("\n").map(Number);
    return { vcpus: vcpus!, memoryMib: Math.ceil(kib! / KIB_A_MIB / 128) * 128 };
  };
  assert.deepEqual(await sizes(), { vcpus: 1, memoryMib: 768 });
  assert.deepEqual(
    await sizes("--memory-limit", String(100 << 20), "--cpus", "1.5"),
    { vcpus: 2, memoryMib: 384 },
  );
  const both = annotations({ vcpus: "2", "memory-mib": "600" });
  assert.deepEqual(await sizes(...both), { vcpus: 2, memoryMib: 896 });
  assert.deepEqual(
    await sizes("--memory-limit", String(100 << 20), "--cpus", "1", ...both),
    { vcpus: 2, memoryMib: 896 },
  );
  using _ = configured({ default_vcpus: 2, default_memory_mib: 640 });
  assert.deepEqual(await sizes(), { vcpus: 2, memoryMib: 896 });
});

e2e("a container limited to 100 MiB gets 100 MiB, and no more", async (bench) => {
  const id = bench.newId();
  // dd has a buffer of `mib` MiB, and writes to all of it.
  const hold = (mib: number) => `dd if=/dev/zero of=/dev/null bs=${mib}M count=1 2>/dev/null`;
  const script = `${hold(92)}; echo $?; ${hold(120)}; echo $?; echo alive`;
  const { code, stdout } = await ctr(
    ...runArguments(id, ["sh", "-c", script], {
      flags: ["--rm", "--memory-limit", String(100 << 20)],
    }),
  );
  assert.deepEqual([code, stdout.split("\n")], [0, ["0", "137", "alive", ""]]);
});
