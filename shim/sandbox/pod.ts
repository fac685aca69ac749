import type { System } from "../../ffi/mod.ts";
import type { GuestNetwork } from "../../net/mod.ts";
import type { VmSize } from "../../qemu/mod.ts";
import type { SandboxPaths } from "../base/names.ts";
import type { PodView } from "../plan/pod_container_plan.ts";
import type { WritableLayer } from "../plan/writable_plan.ts";
import { type SharedThings, shareWithPodContainer } from "../storage/shared_directory.ts";

/** What the VM of a pod has for containers that join after the first. */
export class Pod implements PodView {
  readonly hostPid: number;
  readonly guestPid: number;
  readonly hostname: string;
  readonly size: VmSize;
  readonly writable: WritableLayer;
  readonly network: GuestNetwork;
  readonly #system: System;
  readonly #paths: SandboxPaths;
  #places = 0;

  constructor(system: System, paths: SandboxPaths, view: PodView, network: GuestNetwork) {
    this.hostPid = view.hostPid;
    this.guestPid = view.guestPid;
    this.hostname = view.hostname;
    this.size = view.size;
    this.writable = view.writable;
    this.network = network;
    this.#system = system;
    this.#paths = paths;
  }

  /** Returns a directory name for one more container. No two containers ever get the same. */
  nextDirectory(): string {
    return `c${++this.#places}`;
  }

  /** Shares a container's files with the VM, until the result is disposed. */
  share(things: SharedThings, directory: string): Disposable {
    return shareWithPodContainer(this.#system, things, directory, this.#paths);
  }
}
