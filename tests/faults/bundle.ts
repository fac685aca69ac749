import { system } from "../../ffi/mod.ts";
import type { OciSpec } from "../../shim/plan/oci.ts";
import type { CreateRequest } from "../../shim/plan/create_request.ts";

/**
 * Makes a bundle with a specification, a directory with a file to mount from it, and a busybox that
 * sleeps as the root file system.
 */
export function makeBundle(): string {
  const bundle = Deno.makeTempDirSync({ prefix: "fault-bundle-" });
  for (const folder of ["rootfs/bin", "rootfs/proc", "rootfs/dev", "volume"]) {
    Deno.mkdirSync(`${bundle}/${folder}`, { recursive: true });
  }
  Deno.writeTextFileSync(`${bundle}/volume/precious`, "precious\n");
  Deno.copyFileSync("/bin/busybox", `${bundle}/rootfs/bin/sleep`);
  Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(SPEC));
  return bundle;
}

/** The specification that `makeBundle` writes to config.json. */
export const SPEC: OciSpec = {
  ociVersion: "1.0.2",
  process: { args: ["/bin/sleep", "3600"], cwd: "/", user: { uid: 0, gid: 0 } },
  root: { path: "rootfs" },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    // Relative to the bundle.
    { destination: "/rw", type: "bind", source: "volume", options: ["rbind", "rw"] },
    { destination: "/ro", type: "bind", source: "volume/precious", options: ["bind", "ro"] },
  ],
  linux: {
    namespaces: ["pid", "mount", "ipc", "uts", "network"].map((type) => ({ type })),
  },
};

/** Makes a bundle with FIFOs for its stdio. Returns containerd's Create request for it. */
export function requestOf(id: string): CreateRequest {
  const bundle = makeBundle();
  const fifo = (kind: string) => {
    system.mkfifo(`${bundle}/${kind}`, 0o600);
    return `${bundle}/${kind}`;
  };
  return {
    id,
    bundle,
    rootfs: [],
    stdin: fifo("stdin"),
    stdout: fifo("stdout"),
    stderr: fifo("stderr"),
    terminal: false,
    checkpoint: "",
  };
}
