import assert from "node:assert/strict";
import type { FdStream } from "../../ffi/mod.ts";
import { SIG, system } from "../../ffi/mod.ts";
import { IN_TESTBED } from "../lib/environment.ts";
import { until } from "../lib/wait.ts";
import { ConsoleText, MARKER, TestHost, vmProcesses } from "./guest.ts";

const INITRD = "/usr/share/qemubox/kernel/qemubox-initrd";
const REPOSITORY = new URL("../../", import.meta.url).pathname;

/** Waits for killed processes: the kernel kills those in a virtiofsd's sandbox a moment later. */
async function onlyLeft(before: string[]): Promise<void> {
  await until(
    "exit of the killed processes",
    5_000,
    () => vmProcesses().length <= before.length || null,
  );
  assert.deepEqual(vmProcesses(), before);
}

/** Defines a test with its own host, after which no process and no file of a VM may be left. */
function live(name: string, work: (host: TestHost) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !IN_TESTBED,
    fn: async () => {
      const before = vmProcesses();
      await using host = new TestHost();
      await work(host);
      assert.deepEqual(host.leftFiles(), []);
      await onlyLeft(before);
    },
  });
}

live("a guest boots, and its timeline is in order", async (host) => {
  const vm = await host.boot(host.plan(`echo ${MARKER}\nsleep 600\n`));
  const { spawnedMs, firstConsoleMs, readyMs } = vm.timeline;
  assert(0 < spawnedMs && spawnedMs < firstConsoleMs && firstConsoleMs <= readyMs);
  const status = await vm.qmp.execute("query-status") as { status: string };
  assert.equal(status.status, "running");
  assert.equal((await vm.shutdown(0)).kind, "stopped");
});

/** Returns where a guest's kernel has mapped the memory, by QEMU's view of its page tables. */
async function directMap(host: TestHost): Promise<string> {
  await using vm = await host.boot(host.plan(`echo ${MARKER}\nsleep 600\n`));
  const asked = { "command-line": "info mem" };
  const ranges = String(await vm.qmp.execute("human-monitor-command", asked)).split("\r\n");
  return ranges.find((range) => range.startsWith("ffff"))!.split("-")[0]!;
}

live("each guest's kernel maps the memory at an address of its own", async (host) => {
  const addresses = [await directMap(host), await directMap(host)];
  assert.notEqual(addresses[0], addresses[1]);
  // Where all kernels have it without RANDOMIZE_MEMORY: Documentation/arch/x86/x86_64/mm.rst.
  assert(!addresses.includes("ffff888000000000"), addresses.join());
});

live(
  "a share shows the host's files, and the host keeps the guest from writing to them",
  async (host) => {
    Deno.writeTextFileSync(`${host.shared}/file`, "from the host\n", { mode: 0o666 });
    const console = new ConsoleText();
    const vm = await host.boot(
      host.plan(`
mount -t virtiofs shared /m && cat /m/file
mount -o remount,rw /m
echo changed > /m/file
echo new > /m/new
mkdir /m/folder
echo ${MARKER}
reboot -f
`),
      { console: console.take },
    );
    assert.equal((await vm.exited).kind, "reset");
    assert.match(console.text, /from the host/);
    assert.equal(console.text.match(/Read-only file system/g)?.length, 3, console.text);
    assert.equal(Deno.readTextFileSync(`${host.shared}/file`), "from the host\n");
    assert.deepEqual([...Deno.readDirSync(host.shared)].map(({ name }) => name), ["file"]);
    await vm.shutdown(0);
  },
);

live("no byte that a dialled guest sends first is lost", async (host) => {
  const console = new ConsoleText();
  const deno = Deno.realPathSync(Deno.execPath());
  const script = `${REPOSITORY}tests/qemu/echo.ts`;
  const vm = await host.boot(
    host.plan(
      `mount -t virtiofs shared /m
mount -t proc proc /m/proc
mount -t devtmpfs dev /m/dev
echo ${MARKER}
HOME=/dev DENO_DIR=/dev/deno chroot /m ${deno} run --no-config --no-check --no-lock --cached-only --allow-all ${script}
`,
      {
        size: { memoryMib: 512, memoryMibMax: 512, vcpus: 1, vcpusMax: 1 },
        shares: [{ tag: "shared", directory: "/", readonly: true }],
      },
    ),
    { console: console.take },
  );
  await assert.rejects(vm.dialGuest(4711), { kind: "protocol", message: /vsock port 4711/ });
  await console.contains("echo listens", vm.exited);
  await using stream = await vm.dialGuest(1025);
  assert.equal(await readExactly(stream, 6), "hello\n");
  const sent = "x".repeat(100_000);
  const write = stream.write(new TextEncoder().encode(sent));
  assert.equal(await readExactly(stream, sent.length), sent);
  await write;
  const late = vm.dialGuest(4711);
  late.catch(() => {});
  await vm.shutdown(0);
  await assert.rejects(late);
});

live("a kernel panic ends the VM at once, with the panic's line", async (host) => {
  const vm = await host.boot(host.plan(`echo ${MARKER}\nexit 3\n`));
  const { kind, message } = await vm.exited;
  assert.equal(kind, "reset");
  assert.match(message, /Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300/);
  await vm.shutdown(0);
});

live("a guest that never reports ready is killed at its deadline", async (host) => {
  const plan = host.plan("echo waiting for nothing\nsleep 600\n", { bootTimeoutMs: 5_000 });
  await assert.rejects(host.boot(plan), {
    kind: "timeout",
    message: "guest did not become ready within 5 s; last console line: waiting for nothing",
  });
});

live("a file that is not a root image is a clear error", async (host) => {
  const plan = host.plan("");
  const rootPath = `${host.folder}/root`;
  Deno.writeTextFileSync(rootPath, "this is no file system".padEnd(8192));
  await assert.rejects(
    host.boot({ ...plan, files: { ...plan.files, rootPath, initrdPath: INITRD } }),
    {
      kind: "boot",
      message:
        /^guest did not become ready: guest reset; last console line: qemubox: stage 0 failed: the root image cannot be mounted$/,
    },
  );
});

live("a file that is not a kernel is a clear error", async (host) => {
  const plan = host.plan("");
  const kernelPath = `${host.folder}/kernel`;
  Deno.writeTextFileSync(kernelPath, "this is no kernel");
  await assert.rejects(host.boot({ ...plan, files: { ...plan.files, kernelPath } }), {
    kind: "boot",
    message: /^guest did not become ready: qemu exited with code 1: .*kernel/,
  });
});

live("an aborted boot leaves nothing", async (host) => {
  const controller = new AbortController();
  const plan = host.plan("echo here\nsleep 600\n");
  const options = { signal: controller.signal, console: () => controller.abort() };
  await assert.rejects(host.boot(plan, options), { kind: "cancelled" });
});

for (const role of ["virtiofsd", "vhost-device-vsock", "qemu"]) {
  live(`SIGKILL of ${role} ends the VM, which reports it`, async (host) => {
    const vm = await host.boot(host.plan(`echo ${MARKER}\nsleep 600\n`));
    system.kill(vm.processes.find((one) => one.role === role)!.pid, SIG.KILL);
    const { kind, message } = await vm.exited;
    assert.equal(kind, "crashed");
    assert(message.startsWith(`${role} was killed by SIGKILL`), message);
    await vm.shutdown(0);
  });
}

live("SIGKILL of the process that booted a VM kills all of it", async () => {
  const before = vmProcesses();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", `${REPOSITORY}tests/qemu/boot_and_wait.ts`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const { folder, pids } = JSON.parse(new TextDecoder().decode(value));
  // virtiofsd has a second process, in its sandbox.
  assert(vmProcesses().length >= before.length + pids.length);
  await reader.cancel();
  child.kill("SIGKILL");
  await child.status;
  await onlyLeft(before);
  Deno.removeSync(folder, { recursive: true });
});

live("four VMs at once get different context ids", async (host) => {
  const vms = await Promise.all([0, 1, 2, 3].map((index) => {
    const runDirectory = `${host.folder}/run${index}`;
    Deno.mkdirSync(runDirectory);
    return host.boot(host.plan(`echo ${MARKER}\nsleep 600\n`, { runDirectory }));
  }));
  assert.equal(new Set(vms.map(({ cid }) => cid)).size, 4);
  await Promise.all(vms.map((vm) => vm.shutdown(0)));
});

async function readExactly(stream: FdStream, count: number): Promise<string> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await stream.read(bytes.subarray(at));
    assert(read !== null, `end of stream after ${at} bytes`);
    at += read;
  }
  return new TextDecoder().decode(bytes);
}
