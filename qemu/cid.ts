import type { Fd } from "../ffi/mod.ts";
import { type IdOptions, leaseId } from "./id_lease.ts";

/** A vsock context id that no other VM of this host has while the lease is held. */
export interface CidLease extends Disposable {
  readonly cid: number;
  /** As of IdLease. */
  readonly path: string;
  readonly fd: Fd;
}

/** Above ids chosen by hand, below the sign bit of 32 bits. */
const CIDS = { what: "vsock context id", prefix: "cid", first: 0x1_0000, last: 0x7fff_ffff };

/**
 * Leases a context id.
 *
 * @throws VmError `host` if no id is free.
 * @throws SystemError if the directory cannot be written.
 */
export function leaseCid(directory: string, options: IdOptions = {}): CidLease {
  const lease = leaseId(directory, CIDS, options);
  const { id: cid, path, fd } = lease;
  return { cid, path, fd, [Symbol.dispose]: () => lease[Symbol.dispose]() };
}
