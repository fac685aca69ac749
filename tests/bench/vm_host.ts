import { GUEST_READY_MARKER } from "../../proto/mod.ts";
import {
  chooseAccelerator,
  chooseVsockTransport,
  hostSize,
  hostTsc,
  locateFiles,
  probeHost,
  sizeVm,
  type VmConfig,
} from "../../qemu/mod.ts";
import { loadConfig } from "../../shim/config/config.ts";
import { IN_LAB } from "../lib/environment.ts";
import type { TestHost } from "../qemu/guest.ts";
import type { Machine } from "./result.ts";

/** The slowest boot is one in the lab, whose KVM is emulated, on a busy machine. */
export const BOOT_TIMEOUT_SECONDS = 300;

/** Returns the accelerator and the vsock transport that the shim chooses on this host. */
export function hostChoices(): {
  readonly accelerator: VmConfig["accelerator"];
  readonly transport: VmConfig["transport"];
} {
  const probe = probeHost();
  return {
    accelerator: chooseAccelerator(loadConfig().accelerator, probe).accelerator,
    transport: chooseVsockTransport(probe),
  };
}

/** Returns the VM that the shim makes here for a container without limits. */
export function shimPlan(host: TestHost): VmConfig {
  const { accelerator, transport } = hostChoices();
  const tsc = accelerator === "tcg" ? hostTsc() : null;
  return {
    name: "tests/bench",
    files: locateFiles({ ...loadConfig(), needsVhostDeviceVsock: transport === "vhost-user" }),
    size: sizeVm(null, hostSize(), loadConfig()),
    accelerator,
    tscKhz: tsc?.khz ?? null,
    returnsMemory: loadConfig().freedMemory === "return",
    transport,
    runDirectory: `${host.folder}/run`,
    shares: [{ tag: "qemubox", directory: host.shared, readonly: true }],
    disks: [],
    scratchDisks: [],
    nics: [],
    readyMarker: GUEST_READY_MARKER,
    bootTimeoutMs: BOOT_TIMEOUT_SECONDS * 1000,
  };
}

/** Describes the machine that measures. */
export function describeMachine(): Machine {
  const { accelerator, transport } = hostChoices();
  const cpuinfo = Deno.readTextFileSync("/proc/cpuinfo");
  return {
    cpu: /^model name\s*: (.*)$/m.exec(cpuinfo)?.[1]?.trim() ?? "unknown CPU",
    cpus: navigator.hardwareConcurrency,
    memoryMib: hostSize().memoryMib,
    kernel: Deno.osRelease(),
    accelerator,
    vsock: transport,
    lab: IN_LAB,
    date: new Date().toISOString().slice(0, 10),
  };
}
