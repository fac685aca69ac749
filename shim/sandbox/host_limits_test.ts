import assert from "node:assert/strict";
import { MemoryLog, temporaryFolder } from "../testing/test_support.ts";
import { memoryFilesBytes, SandboxLimits, setUnitProperties } from "./host_limits.ts";

const SANDBOX = {
  size: { memoryMib: 384, memoryMibMax: 384, vcpus: 1, vcpusMax: 1 },
  accelerator: "kvm",
  resources: { cpu: { quota: 50_000, period: 100_000 } },
  isPod: false,
  memoryFilesBytes: 0,
} as const;
const FILES = ["cpu.max", "memory.max", "pids.max"] as const;

/** A tree that looks like cgroup v2, whose kernel would make the files itself. */
class Cgroups implements Disposable {
  readonly #directory = temporaryFolder();
  readonly root = this.#directory.path;
  readonly log = new MemoryLog();
  readonly limits: SandboxLimits;

  constructor(files: readonly string[] = FILES) {
    Deno.mkdirSync(`${this.root}/parent/c1`, { recursive: true });
    this.write("cgroup.subtree_control", "memory pids");
    this.write("parent/cgroup.subtree_control", "");
    for (const file of files) this.write(`parent/c1/${file}`, "max");
    const cgroup = { kind: "directory", root: this.root, path: "/parent/c1" } as const;
    this.limits = new SandboxLimits(cgroup, SANDBOX, this.log);
  }

  write(path: string, text: string): void {
    Deno.writeTextFileSync(`${this.root}/${path}`, text);
  }

  read(path: string): string {
    return Deno.readTextFileSync(`${this.root}/${path}`);
  }

  get found(): string[] {
    return FILES.map((file) => this.read(`parent/c1/${file}`));
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

Deno.test("limits are written, and controllers enabled where they are not", async () => {
  using cgroups = new Cgroups();
  await cgroups.limits.apply();
  assert.deepEqual(cgroups.found, ["75000 100000", String(640 << 20), "1025"]);
  // The fake keeps the last one only.
  assert.equal(cgroups.read("cgroup.subtree_control"), "+pids");
  assert.equal(cgroups.read("parent/cgroup.subtree_control"), "+pids");
  assert.deepEqual(cgroups.log.at("warn"), []);
});

Deno.test("limits of controllers that are not delegated are left out with a warning", async () => {
  using cgroups = new Cgroups(["pids.max"]);
  await cgroups.limits.apply();
  assert.equal(cgroups.read("parent/c1/pids.max"), "1025");
  const [warning, ...more] = cgroups.log.at("warn");
  assert.deepEqual(more, []);
  assert.match(
    warning!,
    /^host limits: cannot set cpu\.max \(.*\), memory\.max \(.*\) of \/parent\/c1, only/,
  );
});

Deno.test("an update is followed; while it is under way the larger limits hold", async () => {
  using cgroups = new Cgroups();
  await cgroups.limits.apply();
  const meanwhile: string[] = [];
  const update = () => Promise.resolve(void meanwhile.push(cgroups.found[0]!));
  await cgroups.limits.during({ cpu: { quota: 150_000 } }, update);
  assert.equal(cgroups.found[0], "175000 100000");
  await cgroups.limits.during({ cpu: { quota: 20_000 } }, update);
  assert.equal(cgroups.found[0], "45000 100000");
  await cgroups.limits.during({ cpu: { quota: -1 } }, update);
  assert.equal(cgroups.found[0], "max");
  assert.deepEqual(meanwhile, ["175000 100000", "175000 100000", "max"]);
});

Deno.test("a failed update leaves the limits as they were", async () => {
  using cgroups = new Cgroups();
  await cgroups.limits.apply();
  const failing = cgroups.limits.during({ cpu: { quota: 150_000 } }, () => {
    return Promise.reject(new Error("the guest refuses"));
  });
  await assert.rejects(failing, /the guest refuses/);
  assert.equal(cgroups.found[0], "75000 100000");
});

Deno.test("properties of a scope are set by systemctl, whose error is reported", async () => {
  using directory = temporaryFolder();
  const command = `${directory.path}/systemctl`;
  const write = (body: string) =>
    Deno.writeTextFileSync(command, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  write(`echo "$@" >${directory.path}/said`);
  await setUnitProperties("a.scope", ["CPUQuota=75%", "TasksMax=9"], command);
  assert.equal(
    Deno.readTextFileSync(`${directory.path}/said`),
    "set-property --runtime a.scope CPUQuota=75% TasksMax=9\n",
  );
  write("echo no such unit >&2; exit 1");
  await assert.rejects(setUnitProperties("a.scope", [], command), {
    message: "systemd cannot set properties of a.scope: no such unit",
  });
});

Deno.test("what a guest may write to memory of the host counts", () => {
  const volume = { kind: "directory", name: "volume-0", recursive: true } as const;
  const bytes = (hostPath: string, readonly: boolean) =>
    memoryFilesBytes({
      writable: { kind: "tmpfs", mib: null },
      spec: { volumes: [{ ...volume, hostPath, readonly }, { ...volume, hostPath, readonly }] },
    } as never, "/");
  assert.equal(bytes("/dev/shm", true), 0);
  assert.equal(bytes("/not/there", false), 0);
  const df = new Deno.Command("df", { args: ["-B1", "--output=size", "/dev/shm"] }).outputSync();
  const size = Number(new TextDecoder().decode(df.stdout).trim().split("\n").at(-1));
  assert.equal(bytes("/dev/shm", false), size);
});
