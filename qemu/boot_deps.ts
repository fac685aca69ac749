import type { Fd, SpawnCommand, System } from "../ffi/mod.ts";
import type { CidLease } from "./cid.ts";
import type { IdLease } from "./id_lease.ts";
import type { ChildLike, Ledger } from "./vm_process.ts";

/** What `bootVm` uses besides its configuration. */
export interface BootDeps {
  /** Leases a context id; called again if the kernel reports that one is taken. */
  readonly leaseCid: () => CidLease;
  /** Leases the user id that QEMU is confined to; absent: it is not confined. */
  readonly leaseUser?: () => IdLease;
  readonly ledger?: Ledger;
  /** Takes lines for the shim's log, one per call. */
  readonly log?: (line: string) => void;
  /** Takes bytes of the guest's console; the array is valid during the call only. */
  readonly console?: (chunk: Uint8Array) => void;
  /**
   * Input for the guest's console, written once the guest is ready. At most 4 KiB, which a pipe
   * always takes. Default: the console has no input.
   */
  readonly consoleInput?: Uint8Array;
  /** Says why this host has sent a process of the VM SIGKILL; null: it does not know. */
  readonly whyKilled?: () => string | null;
  readonly signal?: AbortSignal;
  /** How long virtiofsd may take to exit after QEMU, before it is killed. */
  readonly virtiofsdGraceMs?: number;
  readonly system?: System;
  /** Network namespace of QEMU; default: that of this process. */
  readonly netns?: Fd;
  readonly spawn?: (command: SpawnCommand) => ChildLike;
}
