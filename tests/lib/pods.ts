/** Frame of tests with pods: each gets a containerd with CRI and must leave nothing behind. */

import assert from "node:assert/strict";
import { CRI_NAMESPACE, CRI_TREES, CriContainerd, whyNoPods } from "./cri_containerd.ts";
import { Crictl, type Pod, type PodOptions } from "./crictl.ts";
import { kill, type SandboxProcess, sandboxProcesses } from "./sandbox_processes.ts";
import { assertNothingLeft, snapshot, TREES } from "./system_state.ts";
import { logLines } from "./testbed.ts";
import { patience } from "./wait.ts";

/** CRI_HANDLER=runc tests the tests: everything that is not about VMs must hold there too. */
export const HANDLER: string = Deno.env.get("CRI_HANDLER") ?? "qemubox";
const LEFT_WITHIN_MS = patience(10_000);

/** What a test of pods works with. */
export interface PodBench {
  readonly containerd: CriContainerd;
  readonly crictl: Crictl;
  /** Runs a pod with the runtime under test, under a unique name unless `options` has one. */
  runPod(options?: Partial<PodOptions>): Promise<Pod>;
  newDirectory(): string;
}

/** Options of {@link podTest}. */
export interface PodTestOptions {
  /** The test is about the VM, which no other runtime has. */
  readonly inVm?: boolean;
}

/** Defines a test that must remove its pods; if it fails, they are removed by force. */
export function podTest(
  name: string,
  work: (bench: PodBench, t: Deno.TestContext) => Promise<void>,
  { inVm = false }: PodTestOptions = {},
): void {
  const why = inVm && HANDLER !== "qemubox" ? `no VM with ${HANDLER}` : whyNoPods();
  Deno.test({
    name: `${name}${why === null ? "" : ` (skipped: ${why})`}`,
    ignore: why !== null,
    fn: async (t) => {
      await using containerd = await CriContainerd.start();
      const crictl = new Crictl(containerd.socket, containerd.newDirectory());
      const before = await snapshot({
        trees: [...TREES, ...CRI_TREES],
        // A test may restart it.
        except: new RegExp(`^\\d+ started at \\d+: containerd .*${containerd.configFile}`),
      });
      const pods: Pod[] = [];
      const runPod = async (options: Partial<PodOptions> = {}) => {
        const own = { name: `pod-${crypto.randomUUID().slice(0, 8)}`, runtime: HANDLER };
        const pod = await crictl.runPod({ ...own, ...options });
        pods.push(pod);
        return pod;
      };
      const newDirectory = () => containerd.newDirectory();
      try {
        await work({ containerd, crictl, runPod, newDirectory }, t);
        assert.deepEqual(await crictl.pods(), []);
        await containerd.collectGarbage(CRI_NAMESPACE);
        await assertNothingLeft(before, { withinMs: LEFT_WITHIN_MS });
        assert.deepEqual(containerd.addresses(), []);
      } catch (error) {
        for (const pod of pods) await clearAway(crictl, pod).catch(console.error);
        throw error;
      }
    },
  });
}

/** Returns the processes of a pod's VM and its shim. */
export function podProcesses(id: string): SandboxProcess[] {
  return sandboxProcesses(id, CRI_NAMESPACE);
}

/** Prints the logs of a pod whose test failed, and removes it. */
async function clearAway(crictl: Crictl, pod: Pod): Promise<void> {
  for (const file of ["qemubox.log", "console.log"]) {
    for (const line of logLines(pod.id, file)) console.error(line);
  }
  await crictl.run(["stopp", pod.id]);
  await crictl.run(["rmp", "--force", pod.id]);
  for (const { pid } of podProcesses(pod.id)) kill(pid, "SIGKILL");
  pod.removeCgroup();
}
