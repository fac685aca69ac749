/** Constants that host and guest share, besides the messages. @module */

/** vsock port on which vminitd serves TTRPC. */
export const GUEST_RPC_PORT = 1025;

/** vsock port on which vminitd accepts byte streams; see stream_open.ts. */
export const GUEST_STREAM_PORT = 1026;

/** Line that vminitd writes to the console once it listens on both ports. */
export const GUEST_READY_MARKER = "qemubox: vminitd ready";

/** Topic of a guest's requests for memory (qemubox.guest.v1.MemoryWanted). */
export const GUEST_MEMORY_TOPIC = "/guest/memory";
