import {
  chooseAccelerator,
  chooseVsockTransport,
  hostSize,
  hostTsc,
  limitMib,
  locateFiles,
  probeHost,
  requireDescriptors,
  sizeVm,
  type VmPlan,
} from "../../qemu/mod.ts";
import type { Config } from "../config/config.ts";
import { annotationOf } from "../config/settings.ts";
import type { OciResources } from "./oci.ts";

/**
 * Decides which files, size and devices of this host a VM gets. Reads the host, changes nothing.
 *
 * @param resources limits that the VM is made for.
 * @returns the plan, and one line for each thing that is degraded on this host.
 * @throws VmError naming a missing file, an accelerator that does not work here, or a limit.
 */
export function planVm(
  resources: OciResources | undefined,
  config: Config,
): { readonly vm: VmPlan; readonly warnings: readonly string[] } {
  requireDescriptors();
  const probe = probeHost();
  const { accelerator, warning } = chooseAccelerator(config.accelerator, probe);
  const transport = chooseVsockTransport(probe);
  const files = locateFiles({ ...config, needsVhostDeviceVsock: transport === "vhost-user" });
  const tsc = accelerator === "tcg" ? hostTsc() : null;
  const warnings = warning === undefined ? [] : [warning];
  if (accelerator === "tcg" && tsc === null) {
    warnings.push("the host's TSC frequency is unknown; a guest may hang while it measures it");
  }
  warnings.push(...sizeWarnings(config, resources));
  const vm = {
    files,
    size: sizeVm(resources, hostSize(), config),
    returnsMemory: config.freedMemory === "return",
    accelerator,
    transport,
    tscKhz: tsc?.khz ?? null,
    grantsPrivileges: config.volumePrivileges === "allow",
  };
  return { vm, warnings };
}

/** A container that asks for a VM smaller than its own limit gets it. */
function sizeWarnings(
  { memoryMib, memoryMibMax }: Config,
  resources: OciResources | undefined,
): string[] {
  const limit = limitMib(resources) ?? 0;
  if (memoryMib === null || limit <= Math.max(memoryMib, memoryMibMax ?? 0)) return [];
  return [
    `annotation ${annotationOf("memory_mib")}=${memoryMib} is less than the memory limit: ` +
    "the VM is full before the container is",
  ];
}
