/**
 * What the host runs out of while containers run: the next container fails with an error that names
 * the thing and the fix, nothing of it is left, and those that run go on.
 */

import assert from "node:assert/strict";
import { forceRemove, FOREVER, killTask, removeContainer } from "../lib/containers.ts";
import { annotations } from "../lib/configured.ts";
import { ctr, ctrOk, type Ended, runArguments, RUNTIME } from "../lib/ctr.ts";
import { assertNothingLeft, snapshot } from "../lib/system_state.ts";
import { testbedTest } from "../lib/testbed.ts";
import { run } from "./run.ts";

/** Directories of the shim, and the size of the small file system that each gets. */
const DISKS = {
  "/run/qemubox": "4m",
  "/var/lib/qemubox": "32m",
  "/var/log/qemubox": "1m",
} as const;
type Directory = keyof typeof DISKS;

interface Fault {
  readonly name: string;
  /** Makes the fault; disposing ends it. */
  readonly begin: () => Disposable;
  readonly flags?: readonly string[];
  readonly runtime?: string;
  readonly says: RegExp;
}

/** Usually a second; a busy machine takes longer. */
const LEFT_WITHIN_MS = 20_000;
const LIMITED = "/tmp/qemubox-host-faults";

const FAULTS: readonly Fault[] = [
  {
    name: "a full run directory",
    begin: () => filled("/run/qemubox"),
    says: /lease directory \/run\/qemubox\/\S+ cannot be written \(No space left .*: free space/,
  },
  {
    // Enough for the first record of the lease, and not for the next one beside it.
    name: "a run directory with one page left",
    begin: () => filled("/run/qemubox", 4096),
    says: /lease directory \/run\/qemubox\/\S+ cannot be written \(No space left .*: free space/,
  },
  {
    name: "a full state directory",
    begin: () => filled("/var/lib/qemubox"),
    says: /state directory \/var\/lib\/qemubox cannot be written \(No space left .*: free space/,
  },
  {
    name: "a state directory without room for a new size of disks",
    begin: () => filled("/var/lib/qemubox"),
    flags: annotations({ "writable-mib": "128" }),
    says: /state directory \/var\/lib\/qemubox cannot be written \(.*mkfs.*ENOSPC\)\): free space/,
  },
  {
    name: "64 open files",
    begin: () => limited("ulimit -n 64"),
    runtime: `${LIMITED}/containerd-shim-qemubox-v1`,
    says: /limit of open files is 64, a VM needs 1024: .*LimitNOFILE/,
  },
];

testbedTest(
  "a host that runs out of something refuses a container, and the others go on",
  "fault",
  async ({ newId }) => {
    const running = newId("running");
    const goesOn = async () => {
      const said = await ctrOk("task", "exec", "--exec-id", crypto.randomUUID(), running, "pwd");
      assert.equal(said, "/\n");
    };
    const echo = async (): Promise<Ended> =>
      await ctr(...runArguments(newId("later"), ["echo", "later"], { flags: ["--rm"] }));
    await using undo = new AsyncDisposableStack();
    for (const path of Object.keys(DISKS)) undo.use(await smallDisk(path as Directory));
    undo.defer(() => forceRemove(running));
    await ctrOk(...runArguments(running, FOREVER, { flags: ["-d"] }));
    for (const fault of FAULTS) {
      using _ = fault.begin();
      const before = await snapshot();
      const { code, stdout, stderr } = await refused(newId("refused"), fault);
      assert.deepEqual([code, stdout], [1, ""], `${fault.name}: ${stderr}`);
      assert.match(stderr, fault.says, `${fault.name}: ${stderr}`);
      assert.equal(stderr.trim().split("\n").length, 1, `more than one sentence: ${stderr}`);
      await assertNothingLeft(before, { withinMs: LEFT_WITHIN_MS });
      await goesOn();
    }
    {
      // Lines that do not fit are lost; containerd's log has the shim's as well.
      using _ = filled("/var/log/qemubox");
      const { code, stdout, stderr } = await echo();
      assert.deepEqual([code, stdout, stderr], [0, "later\n", ""]);
      await goesOn();
    }
    {
      // The end of a container needs no space.
      using _ = filled("/run/qemubox");
      await killTask(running);
      await removeContainer(running);
    }
  },
);

function refused(id: string, { flags = [], runtime = RUNTIME }: Fault): Promise<Ended> {
  const args = runArguments(id, FOREVER, { flags: ["--rm", ...flags] });
  return ctr(...args.map((word) => word === RUNTIME ? runtime : word));
}

/** Puts a small file system in the place of a directory. */
async function smallDisk(directory: Directory): Promise<AsyncDisposable> {
  Deno.mkdirSync(directory, { recursive: true });
  const options = `size=${DISKS[directory]},mode=0755`;
  const mounted = await run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]);
  assert.equal(mounted.code, 0, mounted.stderr);
  return {
    // Lazily: a container of a failed test may still be there.
    [Symbol.asyncDispose]: async () => void await run("umount", ["-l", directory]),
  };
}

/** Fills the file system of a directory, but for `leftBytes`. */
function filled(directory: Directory, leftBytes: number = 0): Disposable {
  const path = `${directory}/ballast`;
  using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  const block = new Uint8Array(64 * 1024);
  try {
    for (;;) file.writeSync(block);
  } catch (error) {
    assert.equal((error as { code?: string }).code, "ENOSPC");
  }
  file.truncateSync(file.statSync().size - leftBytes);
  return { [Symbol.dispose]: () => Deno.removeSync(path) };
}

/** Makes a shim that runs with limits: containerd takes a path for its runtime. */
function limited(limits: string): Disposable {
  Deno.mkdirSync(LIMITED);
  const script = `#!/bin/sh\n${limits} && exec containerd-shim-qemubox-v1 "$@"\n`;
  Deno.writeTextFileSync(`${LIMITED}/containerd-shim-qemubox-v1`, script, { mode: 0o755 });
  return { [Symbol.dispose]: () => Deno.removeSync(LIMITED, { recursive: true }) };
}
