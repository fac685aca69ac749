import { type IdLease, type IdOptions, type IdRange, leaseId } from "./id_lease.ts";

/**
 * Leases a number that is user id and group id of one sandbox's processes on the host. No user or
 * group of that number has to exist.
 *
 * @throws VmError `host` if none is free.
 * @throws SystemError if the directory cannot be written.
 */
export function leaseUserId(directory: string, range: IdRange, options: IdOptions = {}): IdLease {
  return leaseId(directory, { ...range, what: "user id", prefix: "uid" }, options);
}
