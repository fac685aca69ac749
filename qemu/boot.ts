import { abortOf, poll, removeIfPresent, withDeadline } from "../base/mod.ts";
import {
  Child,
  type Fd,
  FdStream,
  isSystemError,
  O,
  type SpawnCommand,
  type System,
  system as realSystem,
  withNamespace,
} from "../ffi/mod.ts";
import { qemuArguments } from "./arguments.ts";
import { Balloon } from "./balloon.ts";
import type { BootDeps } from "./boot_deps.ts";
import type { CidLease } from "./cid.ts";
import { type ConsoleInput, makeConsoleInput } from "./console_input.ts";
import type { Accelerator, Share, VmConfig } from "./config.ts";
import { confinementOf, emptyRoot, offerToOomKiller, spawnApart } from "./confinement.ts";
import { balloonOf, checkSlots, deviceCounts, wantedBalloon } from "./devices.ts";
import { vmDeadline, VmError } from "./error.ts";
import { GuestConsole } from "./guest_console.ts";
import { descriptorsMax, virtiofsdCommand } from "./helper_commands.ts";
import type { IdLease } from "./id_lease.ts";
import { openForQemu } from "./qemu_descriptors.ts";
import { QmpClient } from "./qmp.ts";
import { setidFilter, whyNoFilter } from "./setid_filter.ts";
import { Vm } from "./vm.ts";
import { VmEnd } from "./vm_end.ts";
import { type ChildLike, VmProcess, type VmProcessOptions } from "./vm_process.ts";
import { kernelVsock, vhostUserVsock } from "./vsock.ts";
import { VsockPlace } from "./vsock_place.ts";

/**
 * Boots a VM and waits until its guest is ready. If it throws, everything that it made is gone.
 *
 * @throws VmError `boot` if QEMU, a helper or the guest exits; `timeout`; `cancelled`; `config`.
 * @throws SystemError if a system call fails.
 */
export async function bootVm(config: VmConfig, deps: BootDeps): Promise<Vm> {
  checkSlots(deviceCounts(config));
  if (wantedBalloon(config) !== null && balloonOf(config) === null) {
    deps.log?.(
      "no virtio slot left for the balloon: memory freed in the guest does not return to the host, " +
        "and the guest starts with all the memory that it may grow to",
    );
  }
  const console = new GuestConsole(config.readyMarker, deps.console ?? (() => {}));
  const timeoutMs = config.bootTimeoutMs ?? BOOT_TIMEOUT_MS[config.accelerator];
  let boot: Promise<Vm> | undefined;
  try {
    return await withDeadline({
      timeoutMs,
      signal: deps.signal,
      ...vmDeadline(() =>
        `guest did not become ready within ${timeoutMs / 1000} s; ${console.describe()}`
      ),
    }, (signal) => boot = bootWithFreeCid(config, deps, console, signal));
  } catch (error) {
    // The boot has the signal and unwinds; or it succeeded at this very moment.
    const vm = await boot?.catch(() => null);
    await vm?.[Symbol.asyncDispose]();
    throw error;
  }
}

/** How long a guest may take to become ready, in milliseconds. */
const BOOT_TIMEOUT_MS: Readonly<Record<Accelerator, number>> = { kvm: 30_000, tcg: 120_000 };
/** How long a helper may take to make its socket; it takes 5 ms. */
const HELPER_TIMEOUT_MS = 10_000;
const HELPER_POLL_MS = 2;
/** How long virtiofsd may take to exit after QEMU; it takes 2 ms. */
const VIRTIOFSD_GRACE_MS = 1_000;
const CID_TRIES_MAX = 4;
const SETID_FILTER = "setid.bpf";

/** Another program may use the leased id. Only the kernel knows that, and QEMU reports it. */
async function bootWithFreeCid(
  config: VmConfig,
  deps: BootDeps,
  console: GuestConsole,
  signal: AbortSignal,
): Promise<Vm> {
  for (let attempt = 1;; attempt++) {
    try {
      return await new Boot(config, deps, console, signal).run();
    } catch (error) {
      const taken = config.transport === "kernel" && error instanceof VmError &&
        /guest cid.*address already in use/i.test(error.message);
      if (!taken || attempt === CID_TRIES_MAX) throw error;
      deps.log?.("vsock context id is taken by another program, trying another one");
    }
  }
}

/** One attempt to boot. Each thing acquired goes on the stack in the next line. */
class Boot {
  readonly #startedAt = performance.now();
  readonly #stack = new AsyncDisposableStack();
  /** Descriptors that are needed only until QEMU has inherited them. */
  readonly #handedOver: Fd[] = [];
  readonly #helpers: VmProcess[] = [];
  /** Those that run as the leased user, if there is one. */
  readonly #confined: VmProcess[] = [];
  readonly #system: System;

  constructor(
    readonly config: VmConfig,
    readonly deps: BootDeps,
    readonly console: GuestConsole,
    readonly signal: AbortSignal,
  ) {
    this.#system = deps.system ?? realSystem;
  }

  async run(): Promise<Vm> {
    await using stack = this.#stack;
    stack.defer(() => this.#closeHandedOver());
    const cid = stack.use(this.deps.leaseCid());
    const user = this.deps.leaseUser === undefined ? null : stack.use(this.deps.leaseUser());
    const directory = this.#openRunDirectory();

    const place = this.config.transport === "vhost-user"
      ? stack.use(new VsockPlace(this.config.runDirectory, directory, user?.id ?? null))
      : null;
    const vsockSocket = place === null ? null : this.#startVsock(cid, user, place);
    const fsSockets = this.config.shares.map((share, index) =>
      this.#startVirtiofsd(share, `${directory}/fs${index}.sock`)
    );
    const vsockFd = vsockSocket === null ? null : await vsockSocket();
    const { qemu, qmpStream, input } = this.#startQemu(cid, user, vsockFd, fsSockets);
    const spawnedMs = performance.now() - this.#startedAt;

    const end = new VmEnd(qemu, this.#helpers, this.console);
    const qmp = this.#connectQmp(qmpStream, end);
    // Once QEMU answers, it has opened everything, and so has the helper that it talks to.
    const confined = qmp.then(() => user === null || this.#emptyRoots(place));
    confined.catch(() => {});
    stack.defer(async () => await (await qmp.catch(() => null))?.[Symbol.asyncDispose]());
    // Kill QEMU before the streams close, or they would report errors that come from the unwinding.
    stack.defer(() => end.stop());
    await this.#ready(end);
    input.send();
    const client = await qmp;
    await confined;
    // Nothing below can fail: the Vm owns the stack from here on.
    return new Vm({
      resources: stack.move(),
      end,
      qmp: client,
      balloon: this.#balloon(client),
      processes: [qemu.info, ...this.#helpers.map((one) => one.info)],
      cid: cid.cid,
      transport: this.config.transport === "kernel"
        ? kernelVsock(cid.cid)
        : vhostUserVsock(place!.dialSocket),
      timeline: {
        spawnedMs,
        firstConsoleMs: this.console.firstByteAt! - this.#startedAt,
        readyMs: this.console.readyAt! - this.#startedAt,
      },
    });
  }

  /**
   * Opens the run directory and returns its path through the descriptor: a socket's path may have
   * 107 bytes, and a container's id alone 76.
   */
  #openRunDirectory(): string {
    const fd = this.#system.open(this.config.runDirectory, O.PATH | O.DIRECTORY);
    this.#stack.defer(() => this.#system.close(fd));
    return `/proc/self/fd/${fd}`;
  }

  /** Spawns vhost-device-vsock; the returned function waits for its socket and connects to it. */
  #startVsock({ cid, fd }: CidLease, user: IdLease | null, place: VsockPlace): () => Promise<Fd> {
    const path = this.config.files.vhostDeviceVsockPath;
    if (path === null) throw new VmError("config", "vhost-device-vsock was not located");
    const helper = this.#spawn({
      role: "vhost-device-vsock",
      command: place.command(path, cid),
      cwd: place.cwd,
      // The helper does not use the descriptor: holding it keeps the id taken while the helper
      // lives.
      fds: { 3: fd, ...(user === null ? {} : { 4: user.fd }) },
      endGraceMs: 0,
      ...(user === null
        ? { setprivOptions: ["--no-new-privs"] }
        : { confinement: { id: user.id, fileBytesMax: 0 } }),
    });
    this.#helpers.push(helper);
    this.#confined.push(helper);
    return () => this.#connectWhenThere(place.vhostSocket, helper);
  }

  /**
   * Listens on the socket and connects to it before virtiofsd runs, so that nothing has to wait and
   * no path is left.
   */
  #startVirtiofsd(share: Share, socketPath: string): Fd {
    const listener = this.#system.listenUnix(socketPath, { mode: 0o600, backlog: 1 });
    try {
      const socket = this.#own(this.#system.connectUnix(socketPath));
      this.#system.setNonblock(listener, false);
      this.#helpers.push(this.#spawn({
        role: "virtiofsd",
        command: virtiofsdCommand({
          path: this.config.files.virtiofsdPath,
          fd: 3,
          sharedDirectory: share.directory,
          readonly: share.readonly,
          isFixed: share.isFixed ?? false,
          grantsPrivileges: share.grantsPrivileges ?? false,
          descriptorsMax: descriptorsMax(),
          ...(share.sandbox === undefined ? {} : { sandbox: share.sandbox }),
        }),
        setprivOptions: ["--no-new-privs", ...this.#setidOptions(share)],
        cwd: "/",
        fds: { 3: listener },
        endGraceMs: this.deps.virtiofsdGraceMs ?? VIRTIOFSD_GRACE_MS,
      }));
      // virtiofsd exits when the peer of its socket closes; if QEMU never got that end, close it
      // first.
      this.#stack.defer(() => this.#closeHandedOver());
      return socket;
    } finally {
      removeIfPresent(socketPath);
      this.#system.close(listener);
    }
  }

  /** Options of setpriv by which virtiofsd cannot make setuid files in a writable share. */
  #setidOptions({ readonly, grantsPrivileges = false }: Share): string[] {
    if (readonly || grantsPrivileges) return [];
    const why = whyNoFilter(this.config.files.setprivPath);
    if (why !== null) {
      this.deps.log?.(`volumes: the guest can make setuid and setgid files in them: ${why}`);
      return [];
    }
    const path = `${this.config.runDirectory}/${SETID_FILTER}`;
    Deno.writeFileSync(path, setidFilter(), { mode: 0o600 });
    this.#stack.defer(() => removeIfPresent(path));
    return ["--seccomp-filter", path];
  }

  #startQemu(
    cid: CidLease,
    user: IdLease | null,
    vsockSocket: Fd | null,
    fsSockets: Fd[],
  ): { qemu: VmProcess; qmpStream: FdStream; input: ConsoleInput } {
    const output = this.#system.pipe({ nonblock: "read" });
    this.#own(output.write);
    const console = this.console.read(new FdStream(output.read, { system: this.#system }));
    this.#stack.use(console);
    const [qmpFd, qmpOfQemu] = this.#system.socketPair();
    this.#own(qmpOfQemu);
    const qmpStream = this.#stack.use(new FdStream(qmpFd, { system: this.#system }));
    this.#system.setNonblock(qmpOfQemu, false);

    const input = this.#stack.use(
      makeConsoleInput(this.#system, this.deps.consoleInput, (fd) => this.#own(fd)),
    );

    const { fds, handles } = openForQemu(
      this.config,
      {
        cid,
        console: { ...input.fds, 1: output.write },
        qmp: qmpOfQemu,
        vsock: vsockSocket,
        filesystems: fsSockets,
        user: user?.fd ?? null,
      },
      this.#system,
      (fd) => this.#own(fd),
    );
    const qemu = this.#spawn({
      role: "qemu",
      command: {
        path: this.config.files.qemuPath,
        args: qemuArguments(this.config, handles),
      },
      cwd: "/",
      fds,
      endGraceMs: 0,
      ...(user === null ? {} : { confinement: confinementOf(this.config, user.id) }),
    });
    this.#confined.push(qemu);
    if (user !== null) this.#confined.forEach(({ info }) => offerToOomKiller(info.pid));
    this.#closeHandedOver();
    return { qemu, qmpStream, input };
  }

  #connectQmp(stream: FdStream, end: VmEnd): Promise<QmpClient> {
    const qmp = QmpClient.connect(stream, { onEvent: (event) => end.noteEvent(event) });
    qmp.catch(() => {});
    return qmp;
  }

  #emptyRoots(place: VsockPlace | null): void {
    const { runDirectory } = this.config;
    this.#confined.forEach(({ info }) => emptyRoot(this.#system, info.pid, runDirectory));
    place?.seal();
  }

  /** Returns null if the guest has all of its memory from the start. */
  #balloon(qmp: QmpClient): Balloon | null {
    const { memoryMib: least, memoryMibMax: most } = this.config.size;
    if (balloonOf(this.config)?.holdsBack !== true) return null;
    return new Balloon(qmp, { least, most }, this.deps.log ?? (() => {}));
  }

  async #ready(end: VmEnd): Promise<void> {
    const failed = end.ended.then(({ message }) => {
      throw new VmError("boot", `guest did not become ready: ${message}`);
    });
    failed.catch(() => {});
    await Promise.race([this.console.ready, failed, abortOf(this.signal)]);
  }

  async #connectWhenThere(path: string, helper: VmProcess): Promise<Fd> {
    let status: unknown = null;
    helper.exited.then((one) => status = one, () => {});
    const connect = async () => {
      this.signal.throwIfAborted();
      if (status !== null) {
        throw new VmError("boot", await helper.describeExit(" before it was ready"));
      }
      try {
        return this.#own(this.#system.connectUnix(path));
      } catch (error) {
        // The socket does not exist yet, or does not listen yet.
        if (!isSystemError(error, "ENOENT", "ECONNREFUSED")) throw error;
        return null;
      }
    };
    const socket = await poll(connect, {
      everyMs: HELPER_POLL_MS,
      timeoutMs: HELPER_TIMEOUT_MS,
      signal: this.signal,
    });
    if (socket !== null) return socket;
    this.signal.throwIfAborted();
    throw new VmError(
      "timeout",
      `${helper.info.role} did not make its socket within ${HELPER_TIMEOUT_MS / 1000} s`,
    );
  }

  #spawn(
    options: Pick<
      VmProcessOptions,
      "role" | "command" | "setprivOptions" | "cwd" | "fds" | "endGraceMs" | "confinement"
    >,
  ): VmProcess {
    const intent = `process ${options.role} with QEMUBOX_VM=${this.config.name} in its environment`;
    this.deps.ledger?.intend(intent);
    const stderr = this.#system.pipe({ nonblock: "read" });
    using ours = new DisposableStack();
    ours.defer(() => this.#system.close(stderr.write));
    const process = this.#stack.use(VmProcess.spawn({
      ...options,
      stderr,
      vmName: this.config.name,
      tools: this.config.files,
      system: this.#system,
      spawn: (command) => this.#spawnChild(options, command),
      log: this.deps.log ?? (() => {}),
      whyKilled: this.deps.whyKilled ?? (() => null),
    }));
    this.deps.ledger?.recordProcesses(intent, [process.info]);
    return process;
  }

  #spawnChild(
    { role, confinement }: Pick<VmProcessOptions, "role" | "confinement">,
    command: SpawnCommand,
  ): ChildLike {
    const system = this.#system;
    const { spawn = (command) => Child.spawn(command, { system }) } = this.deps;
    const netns = role === "qemu" ? this.deps.netns ?? null : null;
    if (confinement !== undefined) return spawnApart(system, command, netns);
    return netns === null
      ? spawn(command)
      : withNamespace(system, "net", netns, () => spawn(command));
  }

  #own(fd: Fd): Fd {
    this.#handedOver.push(fd);
    return fd;
  }

  #closeHandedOver(): void {
    using stack = new DisposableStack();
    for (const fd of this.#handedOver.splice(0)) stack.defer(() => this.#system.close(fd));
  }
}
