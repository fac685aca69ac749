/**
 * The host's half of the relay, in the namespaces of a testbed (lab_host.sh): boots the lab's
 * virtual machine, has the lab's half (lab_guest.ts) run the command, and passes standard streams
 * and exit status through. Exits with 124 after the deadline, like timeout(1), and with 2 when the
 * lab failed; both show the end of the lab's console.
 */

import { after, messageOf, poll } from "../base/mod.ts";
import { hostTsc } from "../qemu/mod.ts";
import { FRAME, FrameWriter, readFrames, type StartMessage } from "./lib/lab_frames.ts";
import { labArguments, labKernel, shareArguments } from "./lib/lab_machine.ts";
import { passOn, Tail } from "./lib/pass_on.ts";
import { existing, REPOSITORY } from "./lib/paths.ts";

const DIRECTORY = "/run/lab";
const ROOT = `${DIRECTORY}/root`;
const CONSOLE = `${DIRECTORY}/console`;
const RELAY = `${DIRECTORY}/relay.sock`;
const SHARE_READY_WITHIN_MS = 10_000;
const POLL_MS = 2;
/** A panic with its stacks takes 60 lines. */
const CONSOLE_LINES_SHOWN = 100;
const STATUS = { failed: 2, late: 124 } as const;

/** A failure of the lab, not of its command. */
class LabError extends Error {
  constructor(message: string, readonly status: number = STATUS.failed) {
    super(message);
  }
}

/**
 * Runs the command in the lab.
 *
 * @returns the command's exit status
 * @throws {LabError} if the lab fails or does not finish in time
 */
async function lab(command: readonly string[], minutes: number): Promise<number> {
  using listener = Deno.listen({ transport: "unix", path: RELAY });
  const shares = { root: `${DIRECTORY}/root.sock`, repository: `${DIRECTORY}/repository.sock` };
  // The first to settle decides. Everything else dies with PID 1 of the namespaces.
  const failures = [
    deadline(minutes),
    runPart("/usr/libexec/virtiofsd", shareArguments(ROOT, shares.root, "read-only")),
    runPart("/usr/libexec/virtiofsd", shareArguments(REPOSITORY, shares.repository, "read-write")),
  ];
  await Promise.race([Promise.all(Object.values(shares).map(appears)), ...failures]);
  failures.push(runPart(
    "qemu-system-x86_64",
    labArguments({
      kernel: labKernel(),
      init: `${REPOSITORY}/scripts/lab_init.sh`,
      denoDirectory: Deno.env.get("DENO_DIR")!,
      shares,
      root: "root",
      relay: RELAY,
      console: CONSOLE,
      tscKhz: hostTsc()?.khz ?? null,
    }),
  ));
  return await Promise.race([
    ...failures,
    listener.accept().then((connection) => relay(connection, command)),
  ]);
}

/** Passes our standard streams to the command; resolves to its exit status. */
async function relay(connection: Deno.Conn, command: readonly string[]): Promise<number> {
  const writer = new FrameWriter(connection);
  const start: StartMessage = {
    command,
    directory: Deno.cwd(),
    environment: Deno.env.toObject(),
  };
  await writer.write(FRAME.START, new TextEncoder().encode(JSON.stringify(start)));
  // Not awaited: a command may exit before its input ends.
  writer.writeAll(FRAME.STDIN, Deno.stdin.readable).then(() => writer.write(FRAME.STDIN))
    .catch(() => {});
  for await (const { type, data } of readFrames(connection)) {
    if (type === FRAME.EXIT) return data[0]!;
    writeAll(type === FRAME.STDOUT ? Deno.stdout : Deno.stderr, data);
  }
  // QEMU has exited, which `runPart` reports.
  return await new Promise(() => {});
}

function writeAll(sink: { writeSync(data: Uint8Array): number }, data: Uint8Array): void {
  for (let at = 0; at < data.length;) at += sink.writeSync(data.subarray(at));
}

/** Runs a program that must not exit before the lab does. Rejects when it exits. */
async function runPart(program: string, args: readonly string[]): Promise<never> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const output = new Tail(CONSOLE_LINES_SHOWN);
  await passOn(child.stderr, { writeSync: (data) => data.length }, output);
  const { code } = await child.status;
  const name = program.slice(program.lastIndexOf("/") + 1);
  throw new LabError(`${name} exited with ${code}${output.text === "" ? "" : `: ${output.text}`}`);
}

function deadline(minutes: number): Promise<never> {
  return new Promise((_, reject) => {
    after(minutes * 60_000, () => {
      reject(new LabError(`not done within ${minutes} minutes`, STATUS.late));
    });
  });
}

/** Waits for virtiofsd, which binds its socket when it is ready. */
async function appears(path: string): Promise<void> {
  const limits = { everyMs: POLL_MS, timeoutMs: SHARE_READY_WITHIN_MS };
  if (await poll(() => existing(path), limits) === null) {
    throw new LabError(`virtiofsd does not listen at ${path}`);
  }
}

function endOfConsole(): string {
  const tail = new Tail(CONSOLE_LINES_SHOWN);
  try {
    tail.add(Deno.readTextFileSync(CONSOLE).replaceAll("\r", ""));
  } catch {
    // QEMU has not created it yet.
  }
  return tail.text;
}

if (import.meta.main) {
  try {
    Deno.exit(await lab(Deno.args, Number(Deno.env.get("TESTBED_LAB_MINUTES"))));
  } catch (error) {
    console.error(`lab: ${messageOf(error)}`);
    const lines = endOfConsole();
    if (lines !== "") console.error(`the end of the lab's console:\n${lines}`);
    Deno.exit(error instanceof LabError ? error.status : STATUS.failed);
  }
}
