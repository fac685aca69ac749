/**
 * `deno task build [TARGET]…`: builds the programs and images in `_output/` that are missing or
 * stale, those of an installation with their bills of materials (docs/supply-chain.md); without
 * arguments, these. The first build on a host takes minutes (the kernel), one without changes less
 * than two seconds. Targets: shim, guest, kernel, root, initrd; for benchmark and tests bare,
 * hostile, escaped, containerd, crictl, nerdctl.
 */

import { messageOf } from "../base/mod.ts";
import { buildInitrd } from "../build/initrd/build.ts";
import { buildKernel } from "../build/kernel/build.ts";
import { buildBareRoot, buildHostileRoot, buildRoot, compileVminitd } from "../build/root/build.ts";
import { buildIdentity } from "./lib/build_identity.ts";
import { compile } from "./lib/compile.ts";
import { CRICTL } from "./lib/crictl.ts";
import { UNAVAILABLE } from "./lib/exit_status.ts";
import { buildGoPeer, OutOfReach } from "./lib/go_peer.ts";
import { NERDCTL } from "./lib/nerdctl.ts";
import { NEWER_CONTAINERD } from "./lib/newer_containerd.ts";
import { publishProgramSbom } from "./sbom/programs.ts";

/**
 * There is one shim per VM, idle for most of its life: a small young generation (1 MiB is V8's
 * minimum), and `gc` for shim/commands/idle_memory.ts.
 */
const SHIM_V8_FLAGS = ["--expose-gc", "--min-semi-space-size=1", "--max-semi-space-size=1"];

/** Name of a target → builds it, given the identity of the build; resolves to the result's path. */
const TARGETS: Readonly<Record<string, (identity: string) => Promise<string>>> = {
  shim: async (identity) => {
    const options = { v8Flags: SHIM_V8_FLAGS, identity };
    const shim = await compile("shim/main.ts", "containerd-shim-qemubox-v1", options);
    await publishProgramSbom(shim, identity);
    return shim.path;
  },
  guest: async (identity) => (await compileVminitd(identity)).path,
  root: buildRoot,
  initrd: buildInitrd,
  bare: buildBareRoot,
  hostile: buildHostileRoot,
  escaped: async () =>
    (await compile("tests/security/escaped_qemu.ts", "qemubox-escaped-qemu")).path,
  kernel: buildKernel,
  containerd: () => buildGoPeer(NEWER_CONTAINERD),
  crictl: () => buildGoPeer(CRICTL),
  nerdctl: () => buildGoPeer(NERDCTL),
};

/** The targets of an installation. */
export const INSTALLED: readonly string[] = ["shim", "root", "initrd", "kernel"];

/**
 * Builds the named targets; returns the paths of the results.
 *
 * @throws {Error} for an unknown target, or if a build fails
 */
export async function build(targets: readonly string[] = INSTALLED): Promise<string[]> {
  // Asked for once: shim and vminitd compare theirs, and a commit may happen meanwhile.
  const identity = await buildIdentity();
  const results: string[] = [];
  for (const target of targets) {
    const make = TARGETS[target];
    if (make === undefined) {
      throw new Error(`unknown target ${target}; targets: ${Object.keys(TARGETS).join(", ")}`);
    }
    results.push(await make(identity));
  }
  return results;
}

if (import.meta.main) {
  try {
    const targets = Deno.args.length > 0 ? Deno.args : undefined;
    for (const path of await build(targets)) console.log(path);
  } catch (error) {
    console.error(`build: ${messageOf(error)}`);
    Deno.exit(error instanceof OutOfReach ? UNAVAILABLE : 1);
  }
}
