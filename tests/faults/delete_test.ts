/** `delete` in a fresh process, without containerd: it removes one sandbox and nothing else. */

import assert from "node:assert/strict";
import { isThere } from "../../base/mod.ts";
import { Child, type Fd, processStartTime, SIG, system } from "../../ffi/mod.ts";
import { type CidLease, type IdLease, leaseCid, leaseUserId } from "../../qemu/mod.ts";
import { Lease } from "../../shim/lease/lease.ts";
import {
  CID_DIRECTORY,
  CID_INTENT,
  type SandboxName,
  USER_DIRECTORY,
  USER_INTENT,
  vmName,
} from "../../shim/base/names.ts";
import { until } from "../lib/wait.ts";
import { ctrOk, runArguments } from "../lib/ctr.ts";
import { assertDeleted, HandStarted, pathsOf, runDelete } from "./hand_started.ts";
import { FOREVER, removeContainer } from "../lib/containers.ts";
import { fault, logLines } from "../lib/testbed.ts";

const CIDS = `/run/qemubox/${CID_DIRECTORY}`;
const USERS = `/run/qemubox/${USER_DIRECTORY}`;
const CONFIG = "/etc/qemubox/config.json";
/** Reconciling is quick, but the process that does it has just started a container. */
const RECONCILED_WITHIN_MS = 5_000;

fault(
  "delete removes what a shim killed during QEMU's boot leaves, and a second delete does nothing",
  async (id) => {
    const name = { namespace: "by-hand", id };
    using shim = await HandStarted.start(name);
    const { failed } = await shim.beginCreate();
    await shim.signalShim("SIGKILL");
    assert.notEqual(await failed, null);
    assert(
      shim.lease!.cidLock !== null && isThere(shim.lease!.cidLock),
      "nothing is there to remove",
    );
    assertDeleted(await runDelete(name));
    assert.equal(shim.lease, null);
    assertDeleted(await runDelete(name));
  },
);

fault("a shim that gets SIGTERM during QEMU's boot leaves nothing to delete", async (id) => {
  using shim = await HandStarted.start({ namespace: "by-hand", id });
  const { failed } = await shim.beginCreate();
  await shim.signalShim("SIGTERM");
  assert.notEqual(await failed, null);
});

fault("delete never touches a sandbox with a similar name", async (id) => {
  using one = new Wreck({ namespace: "a", id: `b-${id}` });
  using other = new Wreck({ namespace: "a-b", id });
  other.recordFacts();
  one.recordFacts();
  await deleteSeparately(one, other);
});

fault("delete finds by name what the lease has as an intent only", async (id) => {
  using wreck = new Wreck({ namespace: "a", id });
  using neighbour = new Wreck({ namespace: "a", id: `${id}-b` });
  wreck.recordIntents();
  neighbour.recordIntents();
  await deleteSeparately(wreck, neighbour);
});

/** Deletes one, and checks that the other is left alone; then deletes the other. */
async function deleteSeparately(one: Wreck, other: Wreck): Promise<void> {
  assertDeleted(await runDelete(one.name));
  await one.assertGone();
  other.assertThere();
  assertDeleted(await runDelete(other.name));
  await other.assertGone();
}

for (const [what, text] of [["cut short", '{"version":1,"na'], ["never written", null]] as const) {
  fault(`delete finds by name what belongs to a lease that was ${what}`, async (id) => {
    using wreck = new Wreck({ namespace: "a", id });
    const path = `${wreck.paths.lease}/lease.json`;
    if (text === null) Deno.removeSync(path);
    else Deno.writeTextFileSync(path, text);
    assertDeleted(await runDelete(wreck.name));
    await wreck.assertGone();
  });
}

fault("delete works with a broken configuration, and reports it", async (id) => {
  using wreck = new Wreck({ namespace: "a", id });
  wreck.recordFacts();
  Deno.mkdirSync("/etc/qemubox", { recursive: true });
  Deno.writeTextFileSync(CONFIG, "{");
  try {
    const ended = await runDelete(wreck.name);
    assert.match(ended.stderr, /^qemubox: .*config\.json is not JSON.*\n$/);
    assertDeleted({ ...ended, stderr: "" });
    await wreck.assertGone();
  } finally {
    Deno.removeSync(CONFIG);
  }
});

fault("the next container's start removes forgotten sandboxes, and only those", async (id) => {
  using forgotten = new Wreck({ namespace: "a", id });
  using starting = new Wreck({ namespace: "b", id });
  using known = new Wreck({ namespace: "c", id }, "/run/containerd");
  forgotten.recordFacts();
  starting.recordIntents();
  known.recordFacts();
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d"] }));
  const lines = await until(
    "reconciling",
    RECONCILED_WITHIN_MS,
    () => isThere(forgotten.paths.lease) || isThere(starting.paths.lease) ? null : logLines(id),
  );
  assert.equal(lines.filter((line) => line.includes("reconcile: ")).length, 2, lines.join("\n"));
  await forgotten.assertGone();
  await starting.assertGone();
  known.assertThere();
  assertDeleted(await runDelete(known.name));
  await known.assertGone();
  await ctrOk("task", "kill", "--signal", "SIGKILL", id);
  await until("exit of the task", RECONCILED_WITHIN_MS, async () => {
    return (await ctrOk("task", "ls")).includes("STOPPED") ? true : null;
  });
  await removeContainer(id);
});

/**
 * The remains of a sandbox whose shim died and released nothing: directories, a socket, a context
 * id, and processes, whose place two idle ones take that outlive their parent.
 */
class Wreck implements Disposable {
  readonly paths: ReturnType<typeof pathsOf>;
  readonly #lease: Lease;
  readonly #cid: CidLease;
  readonly #user: IdLease;
  readonly #qemu: Child;
  readonly #shim: Child;

  /** @param bundle by default one that containerd has removed already. */
  constructor(readonly name: SandboxName, bundle = "/no/such/bundle") {
    this.paths = pathsOf(name);
    const { paths } = this;
    Deno.mkdirSync(`${paths.shared}/rootfs-${name.id}`, { recursive: true });
    Deno.writeTextFileSync(`${paths.runtime}/vsock.sock`, "");
    Deno.writeTextFileSync(paths.socket, "");
    this.#lease = Lease.create(paths, name, { bundle, socketPath: paths.socket });
    this.#cid = leaseCid(CIDS);
    this.#user = leaseUserId(USERS, { first: 1, last: 1_000 });
    // It holds the locks of its context id and its user id, as QEMU does.
    this.#qemu = sleeper({ QEMUBOX_VM: vmName(name) }, [], [this.#cid.fd, this.#user.fd]);
    system.close(this.#cid.fd);
    system.close(this.#user.fd);
    this.#shim = sleeper({}, [paths.socket]);
  }

  /** Records the lease of a complete sandbox. Its shim is recorded as a process that is dead. */
  recordFacts(): void {
    const startTime = processStartTime(this.#qemu.pid)!;
    this.#lease.record(null, {
      shim: { role: "shim", pid: this.#shim.pid, startTime: "1" },
      cidLock: this.#cid.path,
      userLock: this.#user.path,
      processes: [{ role: "qemu", pid: this.#qemu.pid, startTime }],
    });
  }

  /** Records a lease with intents only. */
  recordIntents(): void {
    for (const intent of ["shim", CID_INTENT, USER_INTENT, "process qemu"]) {
      this.#lease.intend(intent);
    }
  }

  assertThere(): void {
    for (const path of this.#files()) assert(isThere(path), `${path} is gone`);
    for (const { pid } of [this.#qemu, this.#shim]) assert(processStartTime(pid) !== null);
  }

  async assertGone(): Promise<void> {
    assert.deepEqual(this.#files().filter((path) => isThere(path)), []);
    for (const child of [this.#qemu, this.#shim]) {
      // Does nothing, or shows by the signal that the process was still there.
      child.kill(SIG.TERM);
      assert.equal((await child.exited).signal, SIG.KILL);
    }
  }

  #files(): string[] {
    const { lease, runtime, socket } = this.paths;
    return [lease, runtime, socket, this.#cid.path, this.#user.path];
  }

  [Symbol.dispose](): void {
    for (const child of [this.#qemu, this.#shim]) child.kill(SIG.KILL);
    for (const path of this.#files().filter((path) => isThere(path))) {
      Deno.removeSync(path, { recursive: true });
    }
  }
}

/** A sleeper reads from it, and it is never closed. */
const silence = system.pipe();

/** Starts a process that does nothing until it is killed. */
function sleeper(env: Record<string, string>, more: string[], held: readonly Fd[] = []): Child {
  const { read, write } = system.pipe();
  try {
    const child = Child.spawn({
      path: "/bin/sh",
      args: ["-c", "echo; read _", "sh", ...more],
      env,
      fds: { 0: silence.read, 1: write, ...Object.fromEntries(held.map((fd, at) => [3 + at, fd])) },
      newSession: true,
    });
    // In the middle of execve(2) a process has no command line and no environment yet.
    assert.equal(system.read(read, new Uint8Array(1)), 1);
    return child;
  } finally {
    system.close(read);
    system.close(write);
  }
}
