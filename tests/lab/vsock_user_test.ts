/** Programs of the host that connect to a guest over the kernel's vsock, and are not its shim. */

import assert from "node:assert/strict";
import { CHALLENGE_BYTES, GUEST_RPC_PORT, GUEST_STREAM_PORT } from "../../proto/mod.ts";
import { asUser } from "../lib/as_user.ts";
import { randomBytes } from "../lib/bytes.ts";
import { killTask, removeContainer, startDetached } from "../lib/containers.ts";
import { BUSYBOX, ctr, ctrOk } from "../lib/ctr.ts";
import { argumentsOf, qemuOf } from "../lib/sandbox_processes.ts";
import { HOST_PROGRAMS, SOCAT } from "../lib/host_programs.ts";
import { logLines } from "../lib/testbed.ts";
import { patience, until, within } from "../lib/wait.ts";
import { lab } from "./lab.ts";

const NOBODY = 65_534;
const PORTS = [GUEST_RPC_PORT, GUEST_STREAM_PORT];
/** Ports below 1024 need a capability, which runc's containers have by default. */
const RESERVED_PORT = 1000;
/** VMADDR_CID_ANY: vsock(7). */
const CID_ANY = 0xffff_ffff;
const CLOSED_WITHIN_MS = patience(5_000);
/** Seconds that socat waits for the guest to close the connection: longer than the test. */
const UNTIL_CLOSED = "3600";

/** Returns TTRPC requests for the processes of a container, longer than any answer. */
function requests(id: string): Uint8Array {
  const encoder = new TextEncoder();
  const field = (number: number, bytes: readonly number[]) => [
    ...[number << 3 | 2, bytes.length],
    ...bytes,
  ];
  const text = (number: number, of: string) => field(number, [...encoder.encode(of)]);
  const request = [
    ...[...text(1, "containerd.task.v3.Task"), ...text(2, "Pids"), ...field(3, text(1, id))],
  ];
  const one = (stream: number) => [0, 0, 0, request.length, 0, 0, 0, stream, 1, 0, ...request];
  return Uint8Array.from([1, 3, 5, 7].flatMap(one));
}

type Payloads = Readonly<Record<string, Uint8Array>>;

/** Returns a connection for each port and payload. */
function dials(cid: string, payloads: Payloads) {
  return PORTS.flatMap((port) =>
    Object.entries(payloads).map(([name, payload]) => {
      return { name, payload, to: `VSOCK-CONNECT:${cid}:${port}` };
    })
  );
}

lab("other programs of the host get a challenge of the guest, and nothing else", async (bench) => {
  const id = bench.newId();
  await startDetached(id);
  const cid = /guest-cid=(\d+)/.exec(argumentsOf(qemuOf(id)).join(" "))![1]!;
  const payloads = { requests: requests(id), garbage: randomBytes(4096) };

  const answers = await Promise.all(
    dials(cid, payloads).map(async ({ name, to, payload }) => {
      const { stdout, stderr } = await within(
        `end of the connection to ${to} with ${name}`,
        CLOSED_WITHIN_MS,
        asUser(NOBODY, ["socat", "-t", UNTIL_CLOSED, "-", to], payload),
      );
      assert.equal(stdout.length, CHALLENGE_BYTES, `${name} to ${to}: ${stderr}`);
      return stdout.join();
    }),
  );
  assert.equal(new Set(answers).size, answers.length, "challenges differ");

  await fromRunc(bench.newId("runc"), cid, payloads);
  for (const name of ["rpc", "stream"]) {
    await until(`a line about refusals of ${name}`, patience(5_000), () => {
      return logLines(id, "console.log").some((line) =>
        line.includes(`${name}: refused connection 1 `)
      ) || null;
    });
  }
  assert.equal(await ctrOk("task", "exec", "--exec-id", "e", id, "echo", "goes on"), "goes on\n");
  await killTask(id);
  await removeContainer(id);
});

/** The same from a container of runc with its default capabilities, and from a reserved port. */
async function fromRunc(id: string, cid: string, payloads: Payloads): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "lab-vsock-" });
  try {
    const sockets = dials(cid, payloads).map(({ name, payload, to }, index) => {
      Deno.writeFileSync(`${directory}/${name}`, payload);
      const address = `${to},bind=${CID_ANY}:${RESERVED_PORT + index}`;
      return `${SOCAT} -t ${UNTIL_CLOSED} - ${address} </payloads/${name} >/out${index} &`;
    });
    const flags = [
      ...["--rm", "--runtime", "io.containerd.runc.v2", "--mount", HOST_PROGRAMS],
      ...["--mount", `type=bind,src=${directory},dst=/payloads,options=rbind:ro`],
    ];
    const script = `${sockets.join("\n")} wait; for out in /out*; do wc -c <$out; done`;
    const { stdout, stderr } = await ctr("run", ...flags, BUSYBOX, id, "sh", "-c", script);
    const bytes = stdout.trim().split("\n").map(Number);
    assert.deepEqual(bytes, sockets.map(() => CHALLENGE_BYTES), stderr);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
