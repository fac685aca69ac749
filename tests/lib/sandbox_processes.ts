/** Finds the processes of a sandbox in /proc. */

/** A process of a sandbox. */
export interface SandboxProcess {
  readonly pid: number;
  readonly parent: number;
  readonly role: "shim" | "qemu" | "virtiofsd" | "vhost-device-vsock" | "other";
}

/**
 * Returns a sandbox's live processes: its shim by arguments, the shim's children by environment.
 */
export function sandboxProcesses(id: string, namespace = "default"): SandboxProcess[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const args = argumentsOf(Number(name));
      const shim = isShim(args, id, namespace);
      const environment = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
      if (!shim && !environment.includes(`QEMUBOX_VM=${namespace}/${id}`)) return [];
      const parent = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${name}/status`))![1];
      const role = shim ? "shim" as const : roleOf(args[0] ?? "");
      return [{ pid: Number(name), parent: Number(parent), role }];
    } catch {
      return []; // It has just exited.
    }
  });
}

/** Returns the arguments of a process. @throws {Deno.errors.NotFound} if it does not exist. */
export function argumentsOf(pid: number): string[] {
  return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
}

/** Returns the pid of the shim that serves a container. @throws {Error} if there is none. */
export function shimOf(id: string, namespace = "default"): number {
  return pidOf("shim", id, namespace);
}

/** Returns the pid of a container's QEMU. @throws {Error} if there is none. */
export function qemuOf(id: string, namespace = "default"): number {
  return pidOf("qemu", id, namespace);
}

function pidOf(role: SandboxProcess["role"], id: string, namespace: string): number {
  const found = sandboxProcesses(id, namespace).find((one) => one.role === role);
  if (found === undefined) throw new Error(`no ${role} of ${namespace}/${id} runs`);
  return found.pid;
}

/** Returns whether the shim's program runs for a container with any verb: `serve`, or `delete`. */
export function hasShimCalls(id: string, namespace = "default"): boolean {
  return [...Deno.readDirSync("/proc")].some(({ name }) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return isShimCall(argumentsOf(Number(name)), id, namespace);
    } catch {
      return false; // It has just exited.
    }
  });
}

/** Signals a process, unless it is gone already. */
export function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isShim(args: readonly string[], id: string, namespace: string): boolean {
  return args.at(-1) === "serve" && isShimCall(args, id, namespace);
}

function isShimCall(args: readonly string[], id: string, namespace: string): boolean {
  const is = (flag: string, value: string) => args[args.indexOf(flag) + 1] === value;
  return is("-id", id) && is("-namespace", namespace);
}

function roleOf(program: string): SandboxProcess["role"] {
  const name = program.slice(program.lastIndexOf("/") + 1);
  if (name === "qemu-system-x86_64") return "qemu";
  return name === "virtiofsd" || name === "vhost-device-vsock" ? name : "other";
}
