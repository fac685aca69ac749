/** A QEMU that was taken over, played by escaped_qemu.ts: what stops each way to the host. */

import assert from "node:assert/strict";
import { pathsOf } from "../faults/hand_started.ts";
import { configured } from "../lib/configured.ts";
import { forceRemove, removeContainer, startDetached } from "../lib/containers.ts";
import { Client, ctrOk, runArguments } from "../lib/ctr.ts";
import { qemuOf, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e, logLines } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";
import { MARK, type Targets } from "./escaped_qemu.ts";

const BUILT = new URL("../../_output/qemubox-escaped-qemu", import.meta.url).pathname;
/** Where its user may read it, too. */
const INSTALLED = "/opt/qemubox-escaped-qemu";
const STARTED_WITHIN_MS = patience(20_000);

/** No file of the host is there, and none can be made. */
const NOTHING = "ENOENT";
const REASONS = [
  // Its user may not.
  "early: shadow: EACCES",
  "early: containerd: EACCES",
  "early: another sandbox: EACCES",
  // Its descriptor is for reading.
  "early: layer by descriptor: EBADF",
  "early: layer by /proc: EACCES",
  "root: 0 entries",
  `late: shadow: ${NOTHING}`,
  `late: containerd: ${NOTHING}`,
  `late: another sandbox: ${NOTHING}`,
  "late: layer by descriptor: EBADF",
  `late: layer by /proc: ${NOTHING}`,
  `late: processes: ${NOTHING}`,
  `late: kvm: ${NOTHING}`,
  "late: a file: EROFS",
  // It counts as a process in a chroot.
  "late: user namespace: EPERM",
  // It has no capability.
  "late: mount namespace: EPERM",
  "late: mount: EPERM",
  "late: host name: EPERM",
  "late: clock: EPERM",
  // Its pid namespace has none but itself.
  "late: kill the shim: ESRCH",
  "late: kill another QEMU: ESRCH",
  "late: kill all: ESRCH",
  "late: raw IP socket: EPERM",
  "late: packet socket: EPERM",
  // Its limits.
  "late: descriptors: EMFILE",
  "late: processes of its own: EAGAIN",
  "end",
];

/** Installs the program, with what it shall know in a file beside it. */
function installed(): Disposable & { tell(targets: Targets): void } {
  const facts = `${INSTALLED}.json`;
  Deno.copyFileSync(BUILT, INSTALLED);
  Deno.chmodSync(INSTALLED, 0o755);
  return {
    tell: (targets) => {
      // Complete or absent: the program waits for it.
      Deno.writeTextFileSync(`${facts}.new`, JSON.stringify(targets), { mode: 0o644 });
      Deno.renameSync(`${facts}.new`, facts);
    },
    [Symbol.dispose]: () => [INSTALLED, facts].forEach((path) => Deno.removeSync(path)),
  };
}

e2e("an escaped QEMU gets at nothing of the host, each time for its own reason", async (bench) => {
  const [id, other] = [bench.newId(), bench.newId("other")];
  await startDetached(other);
  const { socket } = pathsOf({ namespace: "default", id: other });
  assert(Deno.statSync(socket).isSocket);
  using program = installed();
  using _ = configured({ qemu_path: INSTALLED });
  await using client = new Client(
    runArguments(id, ["true"], { snapshotter: "erofs", flags: ["--rm"] }),
  );
  const shim = await until("the shim", STARTED_WITHIN_MS, () => {
    return sandboxProcesses(id).find(({ role }) => role === "shim")?.pid ?? null;
  });
  program.tell({ shim, otherSocket: socket, otherQemu: qemuOf(other) });

  const { code, stderr } = await client.ended;
  assert.equal(code, 1);
  assert.match(stderr, /guest did not become ready: .*last console line: escaped: end/);
  const said = logLines(id, "console.log").map((line) => line.split(`${MARK} `)[1] ?? line);
  assert.deepEqual(said, REASONS);
  await forceRemove(id);
  await ctrOk("task", "rm", "--force", other);
  await removeContainer(other);
});
