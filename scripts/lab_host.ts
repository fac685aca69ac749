/**
 * The relay's half on the host, in the namespaces of a testbed (lab_host.sh): boots the lab's
 * virtual machine, has its other half (lab_guest.ts) run the command, and lends the command its own
 * standard streams and exit status. Ends with 124 when the deadline has passed, as timeout(1) does,
 * and with 2 when the lab failed; the end of its console is shown then.
 */

import { hostTsc } from "../qemu/mod.ts";
import { FRAME, FrameWriter, readFrames, type StartMessage } from "./lib/lab_frames.ts";
import { labArguments, labKernel, shareArguments } from "./lib/lab_machine.ts";
import { passOn, Tail } from "./lib/pass_on.ts";
import { existing, REPOSITORY } from "./lib/paths.ts";

const FOLDER = "/run/lab";
const ROOT = `${FOLDER}/root`;
const CONSOLE = `${FOLDER}/console`;
const RELAY = `${FOLDER}/relay.sock`;
const SHARE_READY_WITHIN_MS = 10_000;
const POLL_MS = 2;
/** A panic with its stacks takes 60. */
const CONSOLE_LINES_SHOWN = 100;
const STATUS = { failed: 2, late: 124 } as const;

/** The lab failed, not its command. */
class LabError extends Error {
  constructor(message: string, readonly status: number = STATUS.failed) {
    super(message);
  }
}

/** @returns the command's exit status */
async function lab(command: readonly string[], minutes: number): Promise<number> {
  using listener = Deno.listen({ transport: "unix", path: RELAY });
  const shares = { root: `${FOLDER}/root.sock`, repository: `${FOLDER}/repository.sock` };
  // Whatever ends first decides. PID 1 of the namespaces takes everything with it afterwards.
  const failures = [
    deadline(minutes),
    part("/usr/libexec/virtiofsd", shareArguments(ROOT, shares.root, "read-only")),
    part("/usr/libexec/virtiofsd", shareArguments(REPOSITORY, shares.repository, "read-write")),
  ];
  await Promise.race([Promise.all(Object.values(shares).map(appears)), ...failures]);
  failures.push(part(
    "qemu-system-x86_64",
    labArguments({
      kernel: labKernel(),
      init: `${REPOSITORY}/scripts/lab_init.sh`,
      denoFolder: Deno.env.get("DENO_DIR")!,
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

/** Lends the command our streams. @returns its exit status */
async function relay(connection: Deno.Conn, command: readonly string[]): Promise<number> {
  const writer = new FrameWriter(connection);
  const start: StartMessage = {
    command,
    directory: Deno.cwd(),
    environment: Deno.env.toObject(),
  };
  await writer.write(FRAME.START, new TextEncoder().encode(JSON.stringify(start)));
  // Takes as long as the input does; a command that ends without it is not held up.
  writer.writeAll(FRAME.STDIN, Deno.stdin.readable).then(() => writer.write(FRAME.STDIN))
    .catch(() => {});
  for await (const { type, data } of readFrames(connection)) {
    if (type === FRAME.EXIT) return data[0]!;
    writeAll(type === FRAME.STDOUT ? Deno.stdout : Deno.stderr, data);
  }
  // QEMU has ended, and says so itself.
  return await new Promise(() => {});
}

function writeAll(sink: { writeSync(data: Uint8Array): number }, data: Uint8Array): void {
  for (let at = 0; at < data.length;) at += sink.writeSync(data.subarray(at));
}

/** Runs a part of the lab, which never ends before the lab does. Rejects when it has. */
async function part(program: string, args: readonly string[]): Promise<never> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const said = new Tail(CONSOLE_LINES_SHOWN);
  await passOn(child.stderr, { writeSync: (data) => data.length }, said);
  const { code } = await child.status;
  const name = program.slice(program.lastIndexOf("/") + 1);
  throw new LabError(`${name} ended with ${code}${said.text === "" ? "" : `: ${said.text}`}`);
}

function deadline(minutes: number): Promise<never> {
  return new Promise((_, reject) => {
    const late = () => reject(new LabError(`not done within ${minutes} minutes`, STATUS.late));
    setTimeout(late, minutes * 60_000);
  });
}

/** virtiofsd binds its socket when it is ready. */
async function appears(path: string): Promise<void> {
  const giveUpAt = performance.now() + SHARE_READY_WITHIN_MS;
  while (existing(path) === null) {
    if (performance.now() > giveUpAt) throw new LabError(`virtiofsd does not listen at ${path}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function endOfConsole(): string {
  const tail = new Tail(CONSOLE_LINES_SHOWN);
  try {
    tail.add(Deno.readTextFileSync(CONSOLE).replaceAll("\r", ""));
  } catch {
    // It has not come that far.
  }
  return tail.text;
}

if (import.meta.main) {
  try {
    Deno.exit(await lab(Deno.args, Number(Deno.env.get("TESTBED_LAB_MINUTES"))));
  } catch (error) {
    console.error(`lab: ${error instanceof Error ? error.message : error}`);
    const lines = endOfConsole();
    if (lines !== "") console.error(`the end of the lab's console:\n${lines}`);
    Deno.exit(error instanceof LabError ? error.status : STATUS.failed);
  }
}
