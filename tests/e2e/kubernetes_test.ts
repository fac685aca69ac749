/**
 * Pods through containerd's CRI plugin, with the requests of the kubelet: all containers of a pod
 * are in one VM. `CRI_HANDLER=runc` runs the same with runc.
 */

import assert from "node:assert/strict";
import { isThere, MIB } from "../../base/mod.ts";
import { POD_GATEWAY } from "../lib/cri_containerd.ts";
import type { Pod, PodContainer } from "../lib/crictl.ts";
import { KILLED_STATUS } from "../lib/kills.ts";
import { HANDLER, podProcesses, podTest } from "../lib/pods.ts";
import { patience, until } from "../lib/wait.ts";

const FOREVER = ["sleep", "3600"];
const PORT = 8080;
const SOON_MS = patience(30_000);
/** Makes a shell exit at SIGTERM. */
const TRAP = "trap 'exit 0' TERM;";

podTest("a pod runs two containers", async (bench, t) => {
  const pod = await bench.runPod();
  const folders = podFolders(bench.newDirectory());
  const mounts = [
    { host: folders.empty, container: "/shared" },
    { host: folders.secret, container: "/secret", readonly: true },
    { host: folders.termination, container: "/dev/termination-log" },
  ];
  const serve = `${TRAP} ip -4 -o addr show dev eth0
    mkdir /www; echo hello from $ROLE >/www/index.html; echo oops >&2
    httpd -f -p ${PORT} -h /www & wait`;
  const server = await pod.startContainer({
    name: "server",
    command: ["sh", "-c", serve],
    env: { ROLE: "server" },
    mounts,
  });
  const client = await pod.startContainer({ name: "client", command: FOREVER, mounts });
  const pair = { pod, server, client };

  await t.step("both run, have logs and take commands", () => bothRun(pair));
  await t.step(
    "they share a network, which exists before the first of them starts",
    () => network(pair),
  );
  await t.step("they share IPC, UTS and network, and not PIDs and mounts", () => namespaces(pair));
  await t.step("volumes", () => volumes(pair, folders));
  await t.step("one exits with an error and is made again", () => madeAgain(pair));
  await t.step("one is OOM-killed", () => outOfMemory(pair));
  await t.step("statistics are reported", () => statistics(pair));
  await t.step("limits can be updated", () => limits(pair));
  if (HANDLER === "qemubox") await t.step("all containers are in one VM", () => oneVm(pair));

  await t.step("one is stopped and removed, the other runs on", async () => {
    await server.stop(10);
    assert.equal((await server.status()).exitCode, 0);
    await server.remove();
    assert.equal(await client.exec("echo", "here"), "here\n");
  });
  await t.step("the pod can be stopped twice with what runs in it, and removed", async () => {
    await pod.stop();
    assert.equal((await client.status()).exitCode, KILLED_STATUS);
    assert.equal((await pod.status()).state, "SANDBOX_NOTREADY");
    assert.deepEqual(podProcesses(pod.id).filter(({ role }) => role !== "shim"), []);
    await pod.stop();
    await pod.remove();
  });
});

podTest("the containers of a pod may share a PID namespace", async ({ runPod }) => {
  const annotations = { "io.qemubox.vcpus": "2" };
  const pod = await runPod({ shareProcessNamespace: true, annotations });
  const first = await pod.startContainer({ name: "first", command: ["sleep", "4242"] });
  const second = await pod.startContainer({ name: "second", command: FOREVER });
  const seen = await second.exec("ps", "-o", "pid,args");
  assert.match(seen, /^ *1 sh -c while :; do sleep 3600/m);
  // Annotations of the pod size the VM.
  if (HANDLER === "qemubox") assert.equal(await second.exec("nproc"), "2\n");
  const pid = /^ *(\d+) sleep 4242$/m.exec(seen)?.[1];
  assert(pid !== undefined && pid !== "1", seen);
  await second.exec("kill", pid);
  assert.equal((await first.ended()).exitCode, 143);
  assert.equal(await second.exec("echo", "here"), "here\n");
  await pod.stop();
  await pod.remove();
});

podTest(
  "a pod runs on while containerd is restarted",
  async ({ containerd, runPod, newDirectory }) => {
    const pod = await runPod();
    const folder = newDirectory();
    const mounts = [{ host: folder, container: "/shared" }];
    const tick = `${TRAP} n=0; while :; do echo tick $((n += 1)); sleep 0.2; done`;
    const ticking = await pod.startContainer({ name: "ticking", command: ["sh", "-c", tick] });
    const wait = "until [ -e /shared/end ]; do sleep 0.1; done; exit 5";
    const ending = await pod.startContainer({
      name: "ending",
      command: ["sh", "-c", wait],
      mounts,
    });
    await containerd.stop();
    await containerd.start();

    assert.equal((await pod.status()).state, "SANDBOX_READY");
    assert.equal((await ticking.status()).state, "CONTAINER_RUNNING");
    assert.equal(await ticking.exec("echo", "here"), "here\n");
    // Not earlier: at its start containerd forgets tasks without a process, and reports 255 for
    // them.
    Deno.writeTextFileSync(`${folder}/end`, "");
    assert.equal((await ending.ended()).exitCode, 5);
    const ticks = async () => (await ticking.logs()).split("\n").length;
    const before = await ticks();
    await until("more output", SOON_MS, async () => await ticks() > before || null);
    const lines = (await ticking.logs()).trimEnd().split("\n");
    assert.deepEqual(lines, lines.map((_, index) => `tick ${index + 1}`));

    const after = await pod.startContainer({ name: "after", command: FOREVER });
    assert.equal(await after.exec("echo", "here"), "here\n");
    await ticking.stop(10);
    assert.equal((await ticking.status()).exitCode, 0);
    await pod.stop();
    await pod.remove();
  },
);

podTest("a pod on the host's network is refused with the reason", async (bench) => {
  await assert.rejects(bench.runPod({ hostNetwork: true }), /host'?s? ?network/i);
}, { inVm: true });

interface Pair {
  readonly pod: Pod;
  readonly server: PodContainer;
  readonly client: PodContainer;
}

async function bothRun({ pod, server, client }: Pair): Promise<void> {
  assert.equal((await pod.status()).state, "SANDBOX_READY");
  for (const container of [server, client]) {
    assert.equal((await container.status()).state, "CONTAINER_RUNNING");
  }
  assert.match(await server.logs(), /oops/);
  assert.equal(await client.exec("echo", "a  b"), "a  b\n");
  const { status, message } = await client.execFails("echo err >&2; exit 3");
  assert.equal(status, 3);
  assert.match(message, /\berr\b/);
  const streamed = await client.execStream("cat; echo err >&2", "in\n");
  assert.deepEqual(streamed.code, 0, streamed.stderr);
  assert.deepEqual([streamed.stdout, streamed.stderr], ["in\n", "err\n"]);
}

async function network({ pod, server, client }: Pair): Promise<void> {
  const { ip } = await pod.status();
  const address = new RegExp(`eth0 .*inet ${ip.replaceAll(".", "\\.")}/24 `);
  assert.match(await server.logs(), address);
  assert.match(await client.exec("ip", "-4", "-o", "addr", "show", "dev", "eth0"), address);
  for (const host of ["127.0.0.1", "localhost", ip]) {
    const said = await client.exec("wget", "-q", "-O", "-", `http://${host}:${PORT}/`);
    assert.equal(said, "hello from server\n");
  }
  const outside = new Deno.Command("busybox", {
    args: ["wget", "-q", "-O", "-", `http://${ip}:${PORT}/`],
  });
  const { stdout } = await outside.output();
  assert.equal(new TextDecoder().decode(stdout), "hello from server\n");
  {
    await using host = Deno.serve(
      { hostname: POD_GATEWAY, port: 0, onListen: () => {} },
      () => new Response("hello from the host\n"),
    );
    const url = `http://${POD_GATEWAY}:${host.addr.port}/`;
    assert.equal(await client.exec("wget", "-q", "-O", "-", url), "hello from the host\n");
  }
  const name = await server.exec("hostname");
  assert.match(name, /^pod-/);
  for (const container of [server, client]) {
    assert.equal(
      await container.exec("cat", "/proc/sys/kernel/hostname", "/etc/hostname"),
      name + name,
    );
    assert.equal(
      await container.exec("cat", "/etc/resolv.conf"),
      "search default.svc.test\nnameserver 192.0.2.53\noptions ndots:5\n",
    );
  }
}

async function namespaces({ server, client }: Pair): Promise<void> {
  const of = (container: PodContainer, kind: string) =>
    container.exec("readlink", `/proc/self/ns/${kind}`);
  for (const kind of ["ipc", "uts", "net"]) {
    assert.equal(await of(server, kind), await of(client, kind), kind);
  }
  for (const kind of ["pid", "mnt"]) {
    assert.notEqual(await of(server, kind), await of(client, kind), kind);
  }
  await server.exec("sh", "-c", "echo shared >/dev/shm/note");
  assert.equal(await client.exec("cat", "/dev/shm/note"), "shared\n");
  assert.match(await client.exec("grep", " /dev/shm ", "/proc/mounts"), / tmpfs /);
  assert.doesNotMatch(await client.exec("ps"), /httpd/);
  await server.exec("touch", "/only-here");
  assert.match((await client.execFails("ls /only-here")).message, /No such file/);
}

/** Makes an emptyDir, a Secret as the kubelet lays it out, and a termination log. */
function podFolders(folder: string) {
  const [empty, secret, termination] = ["empty", "secret", "termination"]
    .map((name) => `${folder}/${name}`) as [string, string, string];
  Deno.mkdirSync(empty);
  Deno.chmodSync(empty, 0o777);
  Deno.mkdirSync(secret);
  writeSecret(secret, "..1", "first");
  Deno.symlinkSync("..data/token", `${secret}/token`);
  Deno.writeTextFileSync(termination, "");
  return { empty, secret, termination };
}

/** Replaces a Secret's directory atomically, as pkg/volume/util/atomic_writer.go of Kubernetes. */
function writeSecret(folder: string, version: string, token: string): void {
  Deno.mkdirSync(`${folder}/${version}`);
  Deno.writeTextFileSync(`${folder}/${version}/token`, token);
  Deno.symlinkSync(version, `${folder}/..data_tmp`);
  Deno.renameSync(`${folder}/..data_tmp`, `${folder}/..data`);
}

async function volumes(
  { server, client }: Pair,
  { empty, secret, termination }: ReturnType<typeof podFolders>,
): Promise<void> {
  await server.exec("sh", "-c", "echo from the server >/shared/note");
  assert.equal(await client.exec("cat", "/shared/note"), "from the server\n");
  assert.equal(Deno.readTextFileSync(`${empty}/note`), "from the server\n");
  await client.exec("sh", "-c", "echo last words >/dev/termination-log");
  assert.equal(Deno.readTextFileSync(termination), "last words\n");

  assert.equal(await client.exec("cat", "/secret/token"), "first");
  const { message } = await client.execFails("echo x >/secret/token");
  assert.match(message, /Read-only file system/i);
  writeSecret(secret, "..2", "second");
  Deno.removeSync(`${secret}/..1`, { recursive: true });
  for (const container of [server, client]) {
    await until("the new secret", SOON_MS, async () => {
      return (await container.exec("cat", "/secret/token")) === "second" || null;
    });
  }
}

async function madeAgain({ pod, server }: Pair): Promise<void> {
  const { startedAt } = await server.status();
  const flaky = (attempt: number, status: number) =>
    pod.startContainer({
      name: "flaky",
      attempt,
      command: ["sh", "-c", `echo attempt ${attempt}; exit ${status}`],
    });
  const first = await flaky(0, 3);
  const { exitCode, reason } = await first.ended();
  assert.deepEqual([exitCode, reason], [3, "Error"]);
  const second = await flaky(1, 0);
  const again = await second.ended();
  assert.deepEqual([again.exitCode, again.reason], [0, "Completed"]);
  assert.equal(await first.logs(), "attempt 0\n");
  assert.equal(await second.logs(), "attempt 1\n");
  await first.remove();
  await second.remove();
  const { state, startedAt: since } = await server.status();
  assert.deepEqual([state, since], ["CONTAINER_RUNNING", startedAt]);
}

async function outOfMemory({ pod, server }: Pair): Promise<void> {
  const hungry = await pod.startContainer({
    name: "hungry",
    // It looks for the end of a line that has none.
    command: ["sh", "-c", "exec tail /dev/zero"],
    resources: { memory_limit_in_bytes: 32 * MIB },
  });
  const { exitCode, reason } = await hungry.ended();
  assert.deepEqual([exitCode, reason], [KILLED_STATUS, "OOMKilled"]);
  await hungry.remove();
  assert.equal(await server.exec("echo", "here"), "here\n");
}

async function statistics({ pod, client }: Pair): Promise<void> {
  type Values<T extends string> = Record<T, { value: string }>;
  const stats = await client.stats() as {
    cpu: Values<"usageCoreNanoSeconds">;
    memory: Values<"workingSetBytes">;
  };
  assert(Number(stats.cpu.usageCoreNanoSeconds.value) > 0, JSON.stringify(stats));
  assert(Number(stats.memory.workingSetBytes.value) > 0, JSON.stringify(stats));
  const { linux } = await pod.stats() as {
    linux: {
      cpu: Values<"usageCoreNanoSeconds">;
      memory: Values<"workingSetBytes">;
      network: { defaultInterface: { name: string } & Values<"rxBytes"> };
      containers: { attributes: { metadata: { name: string } } }[];
    };
  };
  // These are of the pod's cgroup on the host, which the VM is in with cgroup v2.
  if (HANDLER !== "qemubox" || isThere("/sys/fs/cgroup/cgroup.controllers")) {
    assert(Number(linux.cpu.usageCoreNanoSeconds.value) > 0, JSON.stringify(linux));
    assert(Number(linux.memory.workingSetBytes.value) > 0, JSON.stringify(linux));
  }
  assert.equal(linux.network.defaultInterface.name, "eth0");
  assert(Number(linux.network.defaultInterface.rxBytes.value) > 0, JSON.stringify(linux));
  const names = linux.containers.map(({ attributes }) => attributes.metadata.name).sort();
  assert.deepEqual(names, ["client", "server"]);
}

/** Prints the limits with both versions of cgroups, in a cgroup namespace or not. */
const LIMITS = `group=$(sed -n s/^0:://p /proc/self/cgroup)
  first() { for file; do [ ! -e $file ] || { cat $file; break; }; done; }
  cd /sys/fs/cgroup
  first memory/memory.limit_in_bytes .$group/memory.max memory.max
  first cpu/cpu.cfs_quota_us .$group/cpu.max cpu.max`;

async function limits({ pod, server }: Pair): Promise<void> {
  const limited = await pod.startContainer({
    name: "limited",
    command: FOREVER,
    resources: { memory_limit_in_bytes: 32 * MIB, cpu_period: 100_000, cpu_quota: 50_000 },
  });
  const seen = async () =>
    (await limited.exec("sh", "-c", LIMITS)).trim().split("\n").map((line) => parseInt(line));
  assert.deepEqual(await seen(), [32 * MIB, 50_000]);
  const flags = ["--memory", String(64 * MIB), "--cpu-period", "100000", "--cpu-quota", "80000"];
  await limited.update(flags);
  assert.deepEqual(await seen(), [64 * MIB, 80_000]);
  const { resources } = await limited.status();
  assert.equal(resources?.linux?.memoryLimitInBytes, String(64 * MIB));
  await limited.stop(0);
  await limited.remove();
  assert.equal(await server.exec("echo", "here"), "here\n");
}

async function oneVm({ pod, server, client }: Pair): Promise<void> {
  const bootId = (container: PodContainer) =>
    container.exec("cat", "/proc/sys/kernel/random/boot_id");
  assert.equal(await bootId(server), await bootId(client));
  assert.notEqual(await bootId(server), Deno.readTextFileSync("/proc/sys/kernel/random/boot_id"));
  const processes = podProcesses(pod.id);
  const roles = processes.map(({ role }) => role);
  assert.equal(roles.filter((role) => role === "qemu").length, 1, roles.join());
  assert.equal(roles.filter((role) => role === "shim").length, 1, roles.join());
  const { pid } = processes.find(({ role }) => role === "qemu")!;
  const netns = (of: string | number) => Deno.readLinkSync(`/proc/${of}/ns/net`);
  assert.notEqual(netns(pid), netns("self"), "QEMU is in the host's network namespace");
  for (const { id } of [server, client]) {
    assert.deepEqual(podProcesses(id), [], "the container has its own VM or shim");
  }
}
