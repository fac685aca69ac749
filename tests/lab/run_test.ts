/**
 * On a host with KVM and vhost-vsock, the shim uses both by default, and a container runs and
 * writes to its disk.
 */

import assert from "node:assert/strict";
import { assertConfined } from "../lib/confined.ts";
import { Client, ctr, runArguments, SNAPSHOTTERS } from "../lib/ctr.ts";
import { argumentsOf, sandboxProcesses } from "../lib/sandbox_processes.ts";
import { logLines } from "../lib/testbed.ts";
import { bytesOf, diskOf } from "../lib/writable_disks.ts";
import { lab } from "./lab.ts";

/** Bytes that a container writes to its disk. */
const WRITTEN = 4_000_000;

for (const snapshotter of SNAPSHOTTERS) {
  lab(
    `a container runs under KVM and is reached over the kernel's vsock, with ${snapshotter}`,
    async (bench) => {
      const id = bench.newId();
      const script = `head -c ${WRITTEN} /dev/urandom > /big && sync
        uname -r; echo to stderr >&2; echo ready; read line; rm /big && sync
        df -k / | awk 'END { print ($2 > 8000000) }'; echo $line; exit 42`;
      await using client = new Client(
        runArguments(id, ["sh", "-c", script], { snapshotter, flags: ["--rm"] }),
        { input: true },
      );
      await client.line("ready");
      assertRealKvm(id);
      const bytes = bytesOf(diskOf(id)!);
      assert(bytes > WRITTEN && bytes < WRITTEN * 2, `${bytes} bytes are on the writable disk`);
      await client.write("through the kernel\n");
      const { code, stdout, stderr } = await client.ended;
      assert.equal(stderr, "to stderr\n");
      assert.match(stdout, /^\d+\.\d+\S*-qemubox\nready\n1\nthrough the kernel\n$/);
      assert.equal(code, 42);
    },
  );
}

lab("the VM of a missing command ends like any other", async (bench) => {
  const { code, stderr } = await ctr(
    ...runArguments(bench.newId(), ["/no/such/command"], { flags: ["--rm"] }),
  );
  assert.equal(code, 1);
  assert.match(stderr, /\/no\/such\/command/);
});

/** Checks QEMU's arguments, its confinement, and that the shim logged no warning. */
function assertRealKvm(id: string): void {
  const processes = sandboxProcesses(id);
  assert(!processes.some(({ role }) => role === "vhost-device-vsock"));
  const qemu = processes.find(({ role }) => role === "qemu")!.pid;
  assertConfined(qemu, id);
  const args = argumentsOf(qemu).join(" ");
  assert.match(args, / -accel kvm,/);
  assert.match(args, / vhost-vsock-device,/);
  const open = descriptorsOf(qemu);
  for (const file of ["/dev/kvm", "anon_inode:kvm-vm", "/dev/vhost-vsock"]) {
    assert(open.includes(file), `${file} is not among ${open.join(", ")}`);
  }
  assert.deepEqual(logLines(id).filter((line) => /KVM|TCG/.test(line)), []);
}

/** Returns the targets of a process's descriptors, from /proc/PID/fd. */
function descriptorsOf(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return [...Deno.readDirSync(directory)].map(({ name }) =>
    Deno.readLinkSync(`${directory}/${name}`)
  );
}
