import type { guest, MessageInitShape } from "../../proto/mod.ts";

/** Something that happened in the guest, as vminitd reports it to the host. */
export type GuestEvent = MessageInitShape<typeof guest.GuestEventSchema>;
