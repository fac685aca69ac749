import type { System } from "../../ffi/mod.ts";
import type { GuestNetwork } from "../../net/mod.ts";
import type { VmSize } from "../../qemu/mod.ts";
import type { PodView } from "../plan/member_plan.ts";
import type { SandboxPaths } from "../base/names.ts";
import { type SharedThings, shareWithMember } from "../storage/shared_folder.ts";
import type { WritableLayer } from "../plan/writable_plan.ts";

/** What the VM of a pod has for containers that come into it after the first. */
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

  /** A folder's name for one more container: no two get the same, one after the other neither. */
  nextFolder(): string {
    return `c${++this.#places}`;
  }

  /** Shares what a container may see with the VM. */
  share(things: SharedThings, folder: string): Disposable {
    return shareWithMember(this.#system, things, folder, this.#paths);
  }
}
