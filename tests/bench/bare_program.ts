import { GUEST_READY_MARKER } from "../../proto/streams/guest_wire.ts";

/** Stands in vminitd's place for the benchmark: says that it is there, and does nothing. */
console.log(`\n${GUEST_READY_MARKER}`);
setInterval(() => {}, 1_000_000);
