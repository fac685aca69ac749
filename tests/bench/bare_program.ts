import { GUEST_READY_MARKER } from "../../proto/streams/guest_wire.ts";

/** Takes vminitd's place for the benchmark: prints the ready marker, and does nothing. */
console.log(`\n${GUEST_READY_MARKER}`);
setInterval(() => {}, 1_000_000);
