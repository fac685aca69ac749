import assert from "node:assert/strict";
import { Child, MNT, processStartTime, SIG, type System, system } from "../../ffi/mod.ts";
import { leaseCid, leaseUserId } from "../../qemu/mod.ts";
import { Lease, type LeaseFacts, readLease } from "../lease/lease.ts";
import { CID_DIRECTORY, CID_INTENT, sandboxPaths, USER_DIRECTORY, vmName } from "../base/names.ts";
import { exists, temporaryFolder } from "../testing/test_support.ts";
import { mountsBelow } from "../base/remove_directory.ts";
import { undoLease } from "./undo.ts";

/** Lines of proc_pid_mountinfo(5). */
const MOUNTINFO = [
  "22 27 0:21 / /proc rw,relatime - proc proc rw",
  "40 27 0:30 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,mode=755",
  "50 40 0:40 / /run/qemubox/s/ab rw - tmpfs none rw",
  "51 50 0:41 / /run/qemubox/s/ab/shared/rootfs-c1 ro master:7 - overlay overlay ro",
  "52 51 0:42 / /run/qemubox/s/ab/shared/rootfs-c1/with\\040space\\011tab\\134back\\012line rw - tmpfs none rw",
  "53 40 0:43 / /run/qemubox/s/abc rw - tmpfs none rw",
  "54 40 0:44 / /run/qemubox/s/a\\040b rw - tmpfs none rw",
  "",
].join("\n");

Deno.test("mountsBelow returns the mounts below a directory, last one first and unescaped", () => {
  assert.deepEqual(mountsBelow(MOUNTINFO, "/run/qemubox/s/ab"), [
    "/run/qemubox/s/ab/shared/rootfs-c1/with space\ttab\\back\nline",
    "/run/qemubox/s/ab/shared/rootfs-c1",
    "/run/qemubox/s/ab",
  ]);
  assert.deepEqual(mountsBelow(MOUNTINFO, "/run/qemubox/s/a b"), ["/run/qemubox/s/a b"]);
  assert.deepEqual(mountsBelow(MOUNTINFO, "/run/qemubox/s/a"), []);
  assert.deepEqual(mountsBelow("", "/run"), []);
});

/** A sandbox whose shim was killed: processes, directories, socket and lease are left. */
class Wreck implements Disposable {
  readonly name = { namespace: "default", id: `c${crypto.randomUUID().slice(0, 8)}` };
  readonly directory = temporaryFolder();
  readonly paths = sandboxPaths({ runDir: this.directory.path }, this.name);
  readonly socket = `${this.directory.path}/socket-${this.name.id}`;
  readonly lease: Lease;
  readonly #children: Child[] = [];
  readonly #silence = system.pipe();
  readonly #started = system.pipe();

  constructor() {
    Deno.mkdirSync(`${this.paths.shared}/rootfs-c1`, { recursive: true });
    Deno.writeTextFileSync(`${this.paths.runtime}/qmp.sock`, "");
    Deno.writeTextFileSync(this.socket, "");
    this.lease = Lease.create(this.paths, this.name, {
      bundle: "/bundle",
      socketPath: this.socket,
    });
  }

  get facts(): LeaseFacts {
    return readLease(this.paths.lease)!;
  }

  /** Starts a process that waits forever, with an additional argument or environment. */
  sleeper(more: { argument?: string; env?: Record<string, string> } = {}): Child {
    const child = Child.spawn({
      path: "/bin/sh",
      args: ["-c", "echo; read _", ...(more.argument === undefined ? [] : [more.argument])],
      env: more.env ?? {},
      fds: { 0: this.#silence.read, 1: this.#started.write },
    });
    this.#children.push(child);
    // During execve(2), a process has no command line and no environment yet.
    assert.equal(system.read(this.#started.read, new Uint8Array(1)), 1);
    return child;
  }

  undo(using: System = system): Promise<Error[]> {
    return undoLease(using, this.facts, this.paths.lease);
  }

  /** Returns the paths of the sandbox that still exist. */
  left(): string[] {
    const all = [this.paths.lease, this.paths.runtime, this.socket];
    return all.filter((path) => exists(path));
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill(SIG.KILL);
    for (const { read, write } of [this.#silence, this.#started]) {
      system.close(read);
      system.close(write);
    }
    this.directory[Symbol.dispose]();
  }
}

Deno.test("undoLease kills and removes everything that a lease names, and nothing else", async () => {
  using wreck = new Wreck();
  const recorded = wreck.sleeper();
  const bySocket = wreck.sleeper({ argument: wreck.socket });
  const byName = wreck.sleeper({ env: { QEMUBOX_VM: vmName(wreck.name) } });
  const reused = wreck.sleeper();
  const neighbour = wreck.sleeper({ env: { QEMUBOX_VM: `${vmName(wreck.name)}1` } });
  wreck.lease.intend("qemu");
  wreck.lease.record(null, {
    shim: { role: "shim", pid: reused.pid, startTime: "1" },
    processes: [
      { role: "qemu", pid: recorded.pid, startTime: processStartTime(recorded.pid)! },
      { role: "virtiofsd", pid: reused.pid, startTime: `${processStartTime(reused.pid)}0` },
    ],
  });
  const cid = leaseCid(`${wreck.directory.path}/${CID_DIRECTORY}`);
  const range = { first: 7, last: 70 };
  const user = leaseUserId(`${wreck.directory.path}/${USER_DIRECTORY}`, range);
  wreck.lease.record(null, { cidLock: cid.path, userLock: user.path });
  for (const { fd } of [cid, user]) system.close(fd);

  assert.deepEqual(await wreck.undo(), []);
  for (const child of [recorded, bySocket, byName]) {
    child.kill(SIG.TERM); // Shows in `exited` if the process was still alive.
    assert.equal((await child.exited).signal, SIG.KILL);
  }
  for (const child of [reused, neighbour]) {
    assert.ok(processStartTime(child.pid) !== null);
    child.kill(SIG.TERM);
    assert.equal((await child.exited).signal, SIG.TERM, "it was still alive");
  }
  assert.deepEqual(wreck.left(), []);
  assert.ok(!exists(cid.path));
  assert.ok(!exists(user.path));
});

Deno.test("undoLease frees a context id that was allocated and not written down, unless it is held", async () => {
  using wreck = new Wreck();
  const directory = `${wreck.directory.path}/${CID_DIRECTORY}`;
  const stray = leaseCid(directory);
  system.close(stray.fd);
  using held = leaseCid(directory);
  wreck.lease.intend(CID_INTENT);
  assert.deepEqual(await wreck.undo(), []);
  assert.ok(!exists(stray.path));
  assert.ok(exists(held.path));
  assert.deepEqual(wreck.left(), []);
});

Deno.test("undoLease can be repeated, also after an attempt that stopped half way", async () => {
  using wreck = new Wreck();
  const facts = wreck.facts;
  Deno.removeSync(wreck.socket);
  assert.deepEqual(await undoLease(system, facts, wreck.paths.lease), []);
  assert.deepEqual(await undoLease(system, facts, wreck.paths.lease), []);
  assert.deepEqual(wreck.left(), []);
});

Deno.test("a process that starts while others are killed is killed, too", async () => {
  using wreck = new Wreck();
  const env = { QEMUBOX_VM: vmName(wreck.name) };
  const shim = wreck.sleeper({ env });
  let late: Child | undefined;
  const racing: System = {
    ...system,
    pidfdSendSignal: (fd, signal) => {
      late ??= wreck.sleeper({ env });
      system.pidfdSendSignal(fd, signal);
    },
  };
  assert.deepEqual(await wreck.undo(racing), []);
  shim.kill(SIG.TERM);
  assert.equal((await shim.exited).signal, SIG.KILL);
  late!.kill(SIG.TERM);
  assert.equal((await late!.exited).signal, SIG.KILL);
});

Deno.test("nothing is removed below a mount that stays, and the lease stays, too", async () => {
  using wreck = new Wreck();
  const target = `${wreck.paths.shared}/rootfs-c1`;
  const mounted = mountTmpfs(target);
  if (!mounted) return;
  try {
    Deno.writeTextFileSync(`${target}/image`, "");
    const asked: string[] = [];
    const failing: System = { ...system, unmount: (path) => void asked.push(path) };
    const failures = await wreck.undo(failing);
    assert.deepEqual(failures.map(({ message }) => message), [`still mounted: ${target}`]);
    assert.deepEqual(asked, [target]);
    assert.ok(exists(`${target}/image`), "the image must survive");
    assert.ok(readLease(wreck.paths.lease) !== null, "the next undo needs it");
    assert.deepEqual(await wreck.undo(), []);
    assert.deepEqual(wreck.left(), []);
  } finally {
    while (mountsBelow(Deno.readTextFileSync("/proc/self/mountinfo"), target).length > 0) {
      system.unmount(target, MNT.DETACH);
    }
  }
});

/** Returns false if this process may not mount. */
function mountTmpfs(target: string): boolean {
  try {
    system.mount("none", target, "tmpfs", 0, "size=64k");
    return true;
  } catch {
    return false;
  }
}

Deno.test("undoLease runs the poststop hooks that a killed shim did not", async () => {
  using wreck = new Wreck();
  const bundle = `${wreck.directory.path}/bundle`;
  Deno.mkdirSync(bundle);
  const output = `${wreck.directory.path}/output`;
  const script = (text: string) => [{ path: "/bin/sh", args: ["sh", "-c", text] }];
  const hooks = { createRuntime: script("exit 1"), poststop: script(`cat >>${output}`) };
  Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify({ ociVersion: "1.1.0", hooks }));
  wreck.lease.record(null, { hooksOf: bundle });
  assert.deepEqual(await wreck.undo(), []);
  const { status, id } = JSON.parse(Deno.readTextFileSync(output));
  assert.deepEqual([status, id], ["stopped", wreck.name.id]);
  assert.deepEqual(wreck.left(), []);
  // Without the bundle the hooks are unknown. Everything else is undone.
  using forgotten = new Wreck();
  forgotten.lease.record(null, { hooksOf: `${bundle}/gone` });
  assert.deepEqual(await forgotten.undo(), []);
  assert.deepEqual(forgotten.left(), []);
});
