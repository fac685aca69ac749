import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { poll } from "../base/mod.ts";
import { isSystemError, recording, SIG, system, SystemError } from "../ffi/mod.ts";
import { bootVm } from "./boot.ts";
import type { BootDeps } from "./boot_deps.ts";
import { leaseCid } from "./cid.ts";
import { VmError } from "./error.ts";
import type { VmConfig } from "./config.ts";
import type { Vm } from "./vm.ts";

const MARKER = "guest is ready";

/** Shell programs that act as QEMU; descriptor 3 is the QMP socket, standard output the console. */
const GREETS = `echo '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 9}}}}' >&3
read -r line <&3; echo '{"return": {}, "id": 1}' >&3`;
const READY = `printf 'booting\\nguest is '; printf 'ready\\n'`;
const QUITS_WHEN_TOLD = `${GREETS}; ${READY}; read -r line <&3; exit 0`;
const NEVER_READY = `${GREETS}; echo 'still booting'; exec sleep 600`;

/** Acts as vhost-device-vsock. */
const VSOCK_HELPER = `const options = Object.fromEntries(
  Deno.args[1].split(",").map((option) => option.split("=")));
const listeners = [options["uds-path"], options.socket].map((path) =>
  Deno.listen({ transport: "unix", path }));
for await (const peer of listeners[1]) void peer;
`;

interface Programs {
  readonly qemu: string;
  readonly virtiofsd?: string;
  readonly vhostDeviceVsock?: string;
}

interface Host {
  readonly config: VmConfig;
  readonly deps: BootDeps;
}

/**
 * Runs `work` with a host whose programs are shell scripts. Afterwards this process must have the
 * same children and descriptors, and the directories must have the same files, as before.
 */
async function withHost(programs: Programs, work: (host: Host) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync();
  Deno.mkdirSync(`${directory}/run`);
  Deno.mkdirSync(`${directory}/cids`);
  const write = (name: string, text: string) => {
    Deno.writeTextFileSync(`${directory}/${name}`, text, { mode: 0o755 });
    return `${directory}/${name}`;
  };
  const script = (name: string, text: string) => write(name, `#!/bin/sh\n${text}\n`);
  const helper = write("vsock_helper.js", VSOCK_HELPER);
  const file = write("file", "");
  const config: VmConfig = {
    name: "test/one",
    files: {
      qemuPath: script("qemu", programs.qemu),
      ...{ kernelPath: file, rootPath: file, initrdPath: file, firmwarePath: file },
      virtiofsdPath: script("virtiofsd", programs.virtiofsd ?? "exec sleep 600"),
      vhostDeviceVsockPath: script(
        "vhost-device-vsock",
        programs.vhostDeviceVsock ??
          `HOME=/tmp NO_COLOR=1 exec ${Deno.execPath()} run --allow-all ${helper} "$@"`,
      ),
      setprivPath: "/usr/bin/setpriv",
      prlimitPath: "/usr/bin/prlimit",
    },
    accelerator: "tcg",
    tscKhz: null,
    size: { memoryMib: 256, memoryMibMax: 256, vcpus: 1, vcpusMax: 1 },
    returnsMemory: false,
    transport: "kernel",
    runDirectory: `${directory}/run`,
    shares: [{ tag: "rootfs", directory: "/", readonly: true }],
    disks: [],
    scratchDisks: [],
    nics: [],
    readyMarker: MARKER,
  };
  const before = resources(directory);
  try {
    await work({
      config,
      deps: { leaseCid: () => leaseCid(`${directory}/cids`), virtiofsdGraceMs: 0 },
    });
    assert.deepEqual(resources(directory), before);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Returns children, kinds of open descriptors, and files. */
function resources(directory: string): unknown {
  const pid = Deno.pid;
  const children = [...Deno.readDirSync("/proc")].filter(({ name }) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid;
    } catch {
      return false;
    }
  });
  const descriptors = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`).replace(/\[\d+\]/, "")];
    } catch {
      return [];
    }
  }).filter((link) => !link.startsWith("/proc/") && !link.startsWith("anon_inode:[event"));
  const files = [...Deno.readDirSync(`${directory}/run`), ...Deno.readDirSync(`${directory}/cids`)];
  return { children: children.map(({ name }) => name), descriptors: descriptors.sort(), files };
}

Deno.test("bootVm returns a VM once its guest is ready, and shutdown makes QEMU quit", async () => {
  await withHost({ qemu: QUITS_WHEN_TOLD }, async ({ config, deps }) => {
    let console = "";
    const vm = await bootVm(config, {
      ...deps,
      console: (chunk) => console += new TextDecoder().decode(chunk),
    });
    assert.deepEqual(vm.processes.map(({ role }) => role), ["qemu", "virtiofsd"]);
    assert.equal(vm.qmp.version, "9.0.0");
    assert.match(console, /^booting\nguest is ready/);
    const { spawnedMs, firstConsoleMs, readyMs } = vm.timeline;
    assert(0 < spawnedMs && 0 < firstConsoleMs && firstConsoleMs <= readyMs);
    assert.deepEqual(await vm.shutdown(0), {
      kind: "stopped",
      message: "virtual machine was stopped",
    });
  });
});

Deno.test("a Vm can be disposed of twice", async () => {
  await withHost({ qemu: QUITS_WHEN_TOLD }, async ({ config, deps }) => {
    const vm = await bootVm(config, deps);
    await Promise.all([vm[Symbol.asyncDispose](), vm[Symbol.asyncDispose]()]);
  });
});

Deno.test("a guest that resets ends its VM with kind reset", async () => {
  await withHost({ qemu: `${GREETS}; ${READY}; exit 0` }, async ({ config, deps }) => {
    await using vm = await bootVm(config, deps);
    assert.deepEqual(await vm.exited, {
      kind: "reset",
      message: "guest reset; last console line: guest is ready",
    });
    assert.equal((await vm.shutdown(0)).kind, "reset");
    await assert.rejects(vm.dialGuest(1025), { kind: "crashed" });
  });
});

Deno.test("a killed virtiofsd ends the VM, and the exit names it", async () => {
  await withHost({ qemu: QUITS_WHEN_TOLD }, async ({ config, deps }) => {
    await using vm = await bootVm(config, deps);
    system.kill(vm.processes.find(({ role }) => role === "virtiofsd")!.pid, SIG.KILL);
    assert.deepEqual(await vm.exited, {
      kind: "crashed",
      message: "virtiofsd was killed by SIGKILL, so the virtual machine was stopped",
    });
  });
});

Deno.test("a killed QEMU is a crash", async () => {
  await withHost({ qemu: QUITS_WHEN_TOLD }, async ({ config, deps }) => {
    await using vm = await bootVm(config, deps);
    system.kill(vm.processes[0]!.pid, SIG.KILL);
    assert.deepEqual(await vm.exited, { kind: "crashed", message: "qemu was killed by SIGKILL" });
  });
});

Deno.test("a QEMU that the host killed ends with the host's reason, if it has one", async () => {
  const whyKilled = () => "the host's OOM killer";
  await withHost({ qemu: QUITS_WHEN_TOLD }, async ({ config, deps }) => {
    await using vm = await bootVm(config, { ...deps, whyKilled });
    system.kill(vm.processes[0]!.pid, SIG.KILL);
    assert.equal((await vm.exited).message, "qemu was killed by SIGKILL (the host's OOM killer)");
  });
  await withHost({ qemu: "kill -9 $$" }, async ({ config, deps }) => {
    await assert.rejects(bootVm(config, { ...deps, whyKilled }), /SIGKILL \(the host's OOM/);
  });
});

Deno.test("bootVm's error ends with QEMU's last line", async () => {
  const qemu = "echo first >&2; echo 'qemu: no such machine' >&2; exit 1";
  await withHost({ qemu }, async ({ config, deps }) => {
    await assert.rejects(bootVm(config, deps), {
      kind: "boot",
      message: "guest did not become ready: qemu exited with code 1: qemu: no such machine",
    });
  });
});

Deno.test("bootVm's error names a kernel panic", async () => {
  const qemu = `${GREETS}; echo 'Kernel panic - not syncing: no init'; echo 'Call Trace:'; exit 0`;
  await withHost({ qemu }, async ({ config, deps }) => {
    await assert.rejects(bootVm(config, deps), {
      kind: "boot",
      message: "guest did not become ready: guest reset; " +
        "last console line: Kernel panic - not syncing: no init",
    });
  });
});

Deno.test("bootVm times out for a guest that never becomes ready", async () => {
  await withHost({ qemu: NEVER_READY }, async ({ config, deps }) => {
    await assert.rejects(bootVm({ ...config, bootTimeoutMs: 500 }, deps), {
      kind: "timeout",
      message:
        /^guest did not become ready within 0\.5 s; (last console line: still booting|no console output)$/,
    });
  });
});

Deno.test("aborting bootVm undoes everything", async () => {
  await withHost({ qemu: NEVER_READY }, async ({ config, deps }) => {
    const controller = new AbortController();
    const boot = bootVm(config, {
      ...deps,
      signal: controller.signal,
      console: () => controller.abort(),
    });
    await assert.rejects(boot, { kind: "cancelled" });
  });
});

Deno.test("bootVm's error names the helper that failed and its last line", async () => {
  const programs = { qemu: NEVER_READY, vhostDeviceVsock: "echo 'bad cid' >&2; exit 3" };
  await withHost(programs, async ({ config, deps }) => {
    await assert.rejects(bootVm({ ...config, transport: "vhost-user" }, deps), {
      kind: "boot",
      message: "vhost-device-vsock exited with code 3 before it was ready: bad cid",
    });
  });
});

Deno.test("bootVm tries another context id if one is taken", async () => {
  const qemu = `case "$*" in *guest-cid=65536*)
    echo 'vhost-vsock: unable to set guest cid: Address already in use' >&2; exit 1;;
  esac; ${QUITS_WHEN_TOLD}`;
  await withHost({ qemu }, async ({ config, deps }) => {
    const draws = [0, 0.5];
    const directory = config.runDirectory.replace(/run$/, "cids");
    const leases = () => leaseCid(directory, { random: () => draws.shift()! });
    await using vm = await bootVm(config, { ...deps, leaseCid: leases });
    assert.notEqual(vm.cid, 65536);
  });
});

Deno.test("the ledger records each process before and after its spawn", async () => {
  await withHost({ qemu: QUITS_WHEN_TOLD }, async ({ config, deps }) => {
    const entries: string[] = [];
    const ledger = {
      intend: (what: string) => entries.push(what),
      recordProcesses: (intent: string | null, [one]: readonly { role: string }[]) =>
        entries.push(`made ${one?.role} of ${intent}`),
    };
    await using _vm = await bootVm(config, { ...deps, ledger });
    const intent = (role: string) => `process ${role} with QEMUBOX_VM=test/one in its environment`;
    assert.deepEqual(
      entries,
      ["virtiofsd", "qemu"].flatMap((role) => [intent(role), `made ${role} of ${intent(role)}`]),
    );
  });
});

Deno.test("bootVm refuses too many devices before it makes anything", async () => {
  await withHost({ qemu: "exit 1" }, async ({ config, deps }) => {
    const shares = Array.from(
      { length: 7 },
      (_, index) => ({ ...config.shares[0]!, tag: `${index}` }),
    );
    await assert.rejects(bootVm({ ...config, shares }, deps), {
      kind: "config",
      message: /9 virtio/,
    });
  });
});

/** Waits for `expected`: a child that could not be watched is reaped in the background. */
async function settled(directory: string, expected: unknown): Promise<unknown> {
  const isSettled = () => isDeepStrictEqual(resources(directory), expected) ? true : null;
  await poll(isSettled, { everyMs: 1, timeoutMs: 5_000 });
  return resources(directory);
}

/**
 * Calls that release something. They are made even where the double fails them, since the kernel
 * never leaves such a thing behind.
 */
const RELEASES: ReadonlySet<string> = new Set(["close", "pidfdSendSignal", "waitChild"]);

Deno.test("bootVm leaves nothing behind, whichever system call fails", async () => {
  const programs = { qemu: QUITS_WHEN_TOLD };
  await withHost(programs, async ({ config, deps }) => {
    const full: VmConfig = { ...config, transport: "vhost-user" };
    const run = async (failAt: number): Promise<boolean> => {
      const { double, calls } = recording(system, {
        failAt,
        error: ({ name, args }) => {
          if (RELEASES.has(name)) (system as never as Record<string, Call>)[name]!(...args);
          return new SystemError(name, "EIO");
        },
      });
      let vm: Vm | null = null;
      try {
        vm = await bootVm(full, { ...deps, system: double });
      } catch (error) {
        assert(anyIs(error, (one) => one instanceof VmError || isSystemError(one)), String(error));
      }
      await vm?.[Symbol.asyncDispose]().catch(() => {});
      return calls.length > failAt;
    };
    const before = resources(config.runDirectory.replace(/\/run$/, ""));
    for (let failAt = 0; await run(failAt); failAt++) {
      const after = await settled(config.runDirectory.replace(/\/run$/, ""), before);
      assert.deepEqual({ failAt, after }, { failAt, after: before });
    }
  });
});

type Call = (...args: unknown[]) => unknown;

function anyIs(error: unknown, test: (error: unknown) => boolean): boolean {
  if (test(error)) return true;
  return error instanceof SuppressedError &&
    (anyIs(error.error, test) || anyIs(error.suppressed, test));
}
