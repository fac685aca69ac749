/** The processes of a sandbox, as /proc shows them. */

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
      const args = argumentsOf(Number(name));
      const shim = isShim(args, id, namespace);
      const environment = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
      if (!shim && !environment.includes(`QEMUBOX_VM=${namespace}/${id}`)) return [];
      const parent = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${name}/status`))![1];
      const role = shim ? "shim" as const : roleOf(args[0] ?? "");
      return [{ pid: Number(name), parent: Number(parent), role }];
    } catch {
      return []; // It has just ended.
    }
  });
}

/** The arguments of a process. @throws Deno.errors.NotFound when there is none. */
export function argumentsOf(pid: number): string[] {
  return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
}

/** The pid of the shim that serves a container. @throws Error when there is none. */
export function shimOf(id: string, namespace = "default"): number {
  const shim = sandboxProcesses(id, namespace).find(({ role }) => role === "shim");
  if (shim === undefined) throw new Error(`no shim serves ${namespace}/${id}`);
  return shim.pid;
}

/** Whether the shim's program runs for a container, whatever its verb: `serve`, or `delete` behind it. */
export function hasShimCalls(id: string, namespace = "default"): boolean {
  return [...Deno.readDirSync("/proc")].some(({ name }) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return isShimCall(argumentsOf(Number(name)), id, namespace);
    } catch {
      return false; // It has just ended.
    }
  });
}

/** Signals a process that may be gone already. */
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
