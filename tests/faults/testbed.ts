/** What the tests of faults share: a frame for each test, and the processes of a sandbox. */

import { ctr, ctrOk, runArguments, task } from "../lib/ctr.ts";
import { assertNothingLeft, snapshot } from "../lib/system_state.ts";

/** Longer than any test here: a container that has to be ended. */
export const FOREVER: readonly string[] = ["sleep", "3600"];
const FIFOS = "/run/containerd/fifo";
const ignore = Deno.env.get("QEMUBOX_TESTBED") !== "1";

/**
 * A test with a container id of its own, which must leave the system as it found it. Whatever a
 * test that fails leaves is removed, so that the next one can be judged. Skipped outside of the
 * testbed.
 */
export function fault(name: string, work: (id: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const id = `fault-${crypto.randomUUID().slice(0, 8)}`;
      const before = await snapshot();
      try {
        await work(id);
        await assertNothingLeft(before);
      } catch (error) {
        await clearAway(id);
        // What containerd clears away by itself is not to be the next test's.
        await assertNothingLeft(before).catch(() => {});
        throw error;
      }
    },
  });
}

/** Says what was going on, for the reader of a failure; and ends it. */
async function clearAway(id: string): Promise<void> {
  console.error(logLines(id).join("\n"));
  for (const { pid } of sandboxProcesses(id)) kill(pid, "SIGKILL");
  await ctr("task", "rm", "--force", id);
  removeClientFifos(id);
  await ctr("container", "rm", id);
}

/** What shims logged about a container; nothing when none has logged yet. */
export function logLines(id: string): string[] {
  try {
    const log = Deno.readTextFileSync("/var/log/qemubox/qemubox.log").split("\n");
    return log.filter((line) => line.includes(`id=${id}`));
  } catch {
    return [];
  }
}

/** How a program ended and what it wrote. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The same bytes as `stdout`. */
  readonly output: Uint8Array;
}

/** Runs a program, without standard input, to its end. */
export async function run(
  program: string,
  args: readonly string[],
  options: Pick<Deno.CommandOptions, "cwd" | "env"> = {},
): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...options,
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr), output: stdout };
}

/** Starts a container that runs until it is ended, detached. */
export async function startDetached(id: string): Promise<void> {
  await ctrOk(...runArguments(id, FOREVER, { flags: ["-d"] }));
}

/** Deletes the task, when there still is one, and the container. */
export async function removeContainer(id: string): Promise<void> {
  if (await task(id) !== null) {
    const { stderr } = await ctr("task", "rm", id);
    if (await task(id) !== null) throw new Error(`ctr task rm: ${stderr}`);
  }
  removeClientFifos(id);
  await ctrOk("container", "rm", id);
}

/**
 * ctr makes the FIFOs of a detached task, and removes them with the task. When the shim is killed,
 * containerd forgets the task before ctr can ask for it, and with any runtime they stay.
 */
function removeClientFifos(id: string): void {
  Deno.mkdirSync(FIFOS, { recursive: true });
  for (const { name } of Deno.readDirSync(FIFOS)) {
    const files = [...Deno.readDirSync(`${FIFOS}/${name}`)];
    if (files.length > 0 && files.every((one) => one.name.startsWith(`${id}-`))) {
      Deno.removeSync(`${FIFOS}/${name}`, { recursive: true });
    }
  }
}

/** A process of a sandbox. */
export interface SandboxProcess {
  readonly pid: number;
  readonly parent: number;
  readonly role: "shim" | "qemu" | "virtiofsd" | "vhost-device-vsock" | "other";
}

/** The living processes of a sandbox: the shim by its arguments, what it made by its environment. */
export function sandboxProcesses(id: string, namespace = "default"): SandboxProcess[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const args = Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0");
      const isShim = args.includes(id) && args.includes("serve");
      const environment = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
      if (!isShim && !environment.includes(`QEMUBOX_VM=${namespace}/${id}`)) return [];
      const parent = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${name}/status`))![1];
      const role = isShim ? "shim" as const : roleOf(args[0] ?? "");
      return [{ pid: Number(name), parent: Number(parent), role }];
    } catch {
      return []; // It has just ended.
    }
  });
}

function roleOf(program: string): SandboxProcess["role"] {
  const name = program.slice(program.lastIndexOf("/") + 1);
  if (name === "qemu-system-x86_64") return "qemu";
  return name === "virtiofsd" || name === "vhost-device-vsock" ? name : "other";
}

/** Signals a process that may be gone already. */
export function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
