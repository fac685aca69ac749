import { writeCpio } from "../../build/initrd/cpio.ts";
import { poller } from "../../ffi/mod.ts";
import type { BootDeps, Vm, VmConfig, VmPlan } from "../../qemu/mod.ts";
import { bootVm, hostTsc, leaseCid, locateFiles } from "../../qemu/mod.ts";

/** The small guests of these tests print this when they are up. */
export const MARKER = "guest of the test is up";

const APPLETS = ["sh", "mount", "mkdir", "cat", "echo", "reboot", "sleep", "chroot", "head"];

/** First lines of a guest's /init, before the test's own. Standard output is the console. */
export const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec >/dev/console 2>&1 </dev/null
`;

/** The directories of test VMs. Disposing it kills the VMs. */
export class TestHost implements AsyncDisposable {
  readonly folder: string = Deno.makeTempDirSync();
  readonly shared = `${this.folder}/shared`;
  readonly #vms: Vm[] = [];

  constructor() {
    for (const name of ["shared", "run", "cids"]) Deno.mkdirSync(`${this.folder}/${name}`);
  }

  /** Plans a guest whose /init is `script`. */
  plan(script: string, changes: Partial<VmConfig> = {}): VmConfig {
    return this.planWithInitrd(tinyInitrd(INIT + script), changes);
  }

  planWithInitrd(initrd: Uint8Array, changes: Partial<VmConfig> = {}): VmConfig {
    const initrdPath = `${this.folder}/initrd`;
    Deno.writeFileSync(initrdPath, initrd);
    return {
      name: "tests/qemu",
      ...tcgPlan(initrdPath),
      size: { memoryMib: 256, memoryMibMax: 256, vcpus: 1, vcpusMax: 1 },
      runDirectory: `${this.folder}/run`,
      shares: [{ tag: "shared", directory: this.shared, readonly: true }],
      readyMarker: MARKER,
      ...changes,
    };
  }

  async boot(plan: VmConfig, deps: Partial<BootDeps> = {}): Promise<Vm> {
    const vm = await bootVm(plan, { leaseCid: () => leaseCid(`${this.folder}/cids`), ...deps });
    this.#vms.push(vm);
    return vm;
  }

  /** Returns the files that VMs have left behind. */
  leftFiles(): string[] {
    return ["run", "cids"].flatMap((name) =>
      [...Deno.readDirSync(`${this.folder}/${name}`)].map((entry) => `${name}/${entry.name}`)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#vms.map((vm) => vm[Symbol.asyncDispose]()));
    await poller.idle();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

/** Returns what all VMs of tests have in common: TCG and vhost-user. */
export function tcgPlan(
  initrdPath: string | null = null,
): Omit<VmPlan, "size"> & Pick<VmConfig, "disks" | "scratchDisks" | "nics"> {
  return {
    files: locateFiles({
      shareDir: "/usr/share/qemubox",
      qemuPath: Deno.env.get("QEMUBOX_QEMU_PATH") ?? null,
      kernelPath: null,
      rootPath: null,
      initrdPath,
      firmwarePath: null,
      virtiofsdPath: null,
      vhostDeviceVsockPath: null,
      needsVhostDeviceVsock: true,
    }),
    accelerator: "tcg",
    tscKhz: hostTsc()!.khz,
    returnsMemory: false,
    transport: "vhost-user",
    ...{ disks: [], scratchDisks: [], nics: [] },
  };
}

/** Returns an initrd with busybox and an /init. */
export function tinyInitrd(init: string): Uint8Array {
  return writeCpio([
    ...["bin", "dev", "proc", "m"].map((path) => ({
      kind: "directory" as const,
      path,
      mode: 0o755,
    })),
    { kind: "file", path: "init", mode: 0o755, content: new TextEncoder().encode(init) },
    { kind: "file", path: "bin/busybox", mode: 0o755, content: Deno.readFileSync("/bin/busybox") },
    ...APPLETS.map((name) => ({ kind: "link" as const, path: `bin/${name}`, target: "busybox" })),
  ]);
}

/** The console of a guest, as text to wait for. */
export class ConsoleText {
  text = "";
  #changed = Promise.withResolvers<void>();

  readonly take = (chunk: Uint8Array): void => {
    this.text += new TextDecoder().decode(chunk);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  };

  /** Waits until the console contains `part`. @throws {Error} if `ended` resolves before. */
  async contains(part: string, ended: Promise<unknown>): Promise<void> {
    let over = false;
    ended.then(() => over = true);
    while (!this.text.includes(part)) {
      if (over) throw new Error(`no ${JSON.stringify(part)} on the console: ${this.text}`);
      await Promise.race([this.#changed.promise, ended]);
    }
  }
}

/** Returns the processes of all VMs on this machine, as "pid name". */
export function vmProcesses(): string[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const comm = Deno.readTextFileSync(`/proc/${name}/comm`).trim();
      return /^(qemu-system|virtiofsd|vhost-device)/.test(comm) ? [`${name} ${comm}`] : [];
    } catch {
      return [];
    }
  });
}
