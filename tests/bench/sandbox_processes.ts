import { sandboxProcesses as processesOf } from "../lib/sandbox_processes.ts";

export const ROLES = ["shim", "qemu", "virtiofsd", "vhost-device-vsock"] as const;
export type Role = (typeof ROLES)[number];

/** A process of a sandbox. virtiofsd has two. */
export interface SandboxProcess {
  readonly pid: number;
  readonly role: Role;
}

/** Returns the live processes of a sandbox; `vmName` is "namespace/id". */
export function sandboxProcesses(vmName: string): SandboxProcess[] {
  const [namespace, id] = vmName.split("/");
  return processesOf(id!, namespace).flatMap(({ pid, role }) =>
    role === "other" ? [] : [{ pid, role }]
  );
}
