/** Events of a hostile guest, as far as the shim's listeners and containerd. */

import assert from "node:assert/strict";
import { create, events, guest, packAny, timestampFromDate, toBinary } from "../../proto/mod.ts";
import { RequestSchema } from "../../proto/gen/ttrpc/request_schema.ts";
import { encodeHeader, HEADER_BYTES } from "../../proto/ttrpc/message.ts";
import { GuestConnection } from "../../shim/guest_client/guest_connection.ts";
import { GuestError } from "../../shim/guest_client/guest_error.ts";
import { concat } from "../lib/bytes.ts";
import { fuzz } from "./fuzz.ts";
import { peer } from "./streams.ts";
import { messagesIn, sizesOf, type Target, together } from "./target.ts";

const DATA = 3;
/** More messages than these hold would wait for the connection's rate: 4,000 at once. */
const BYTES_MAX = 7_000, WIRE_BYTES_MAX = 32_000;

function eventOf(topic: string, event: ReturnType<typeof packAny>): Uint8Array {
  return toBinary(guest.GuestEventSchema, create(guest.GuestEventSchema, { topic, event }));
}

const EXIT = eventOf(
  "/tasks/exit",
  packAny(events.TaskExitSchema, {
    ...{ containerId: "c", id: "e", pid: 7, exitStatus: 137 },
    exitedAt: timestampFromDate(new Date(1.7e12)),
  }),
);
const OOM = eventOf("/tasks/oom", packAny(events.TaskOOMSchema, { containerId: "c" }));
const MEMORY = eventOf("/guest/memory", packAny(guest.MemoryWantedSchema, { mib: 512 }));

/** Frames of the first call's stream. */
function framed(messages: readonly Uint8Array[]): Uint8Array {
  return concat(messages.flatMap((payload) => {
    const header = new Uint8Array(HEADER_BYTES);
    encodeHeader({ length: payload.length, streamId: 1, type: DATA, flags: 0 }, header);
    return [header, payload];
  }));
}

/** @param wire what the guest writes. */
async function eventsFrom(wire: Uint8Array): Promise<string> {
  const never = new AbortController().signal;
  const stream = peer(wire, sizesOf(wire));
  const dial = () => Promise.resolve(stream);
  using connection = await GuestConnection.open(dial, never);
  const seen: string[] = [];
  try {
    for await (const event of connection.events(never)) {
      if ("exit" in event) {
        const { status, at } = event.exit;
        assert(Number.isInteger(status) && status >= 0 && status < 2 ** 32, String(status));
        // containerd refuses a message with a time that it cannot encode.
        const exitedAt = timestampFromDate(at);
        assert(at.getUTCFullYear() >= 1970 && at.getUTCFullYear() <= 9999, at.toISOString());
        const { containerId, processId: id } = event;
        toBinary(
          events.TaskExitSchema,
          create(events.TaskExitSchema, { containerId, id, exitedAt, exitStatus: status }),
        );
        seen.push("exit");
      } else if ("wantedMib" in event) {
        assert(Number.isInteger(event.wantedMib) && event.wantedMib >= 0);
        seen.push("memory");
      } else {
        assert.equal(typeof event.containerId, "string");
        seen.push("oom");
      }
    }
    return `${seen.slice(0, 8)} end`;
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    return `${seen.slice(0, 8)} ${error.kind}`;
  } finally {
    // The request is all that the host says.
    assert(stream.written().length < 200);
  }
}

const decoded: Target = {
  name: "events",
  seeds: [together(EXIT), together(OOM, MEMORY, EXIT), together(MEMORY, OOM, OOM)],
  words: ["/tasks/exit", "/tasks/oom", "/guest/memory", "c", RequestSchema.typeName],
  bytesMax: BYTES_MAX,
  parse: (bytes) => eventsFrom(framed(messagesIn(bytes))),
  refuses: () => false,
};

const raw: Target = {
  name: "events-connection",
  seeds: [framed([EXIT]), framed([OOM, MEMORY]), framed([OOM, OOM, EXIT])],
  bytesMax: WIRE_BYTES_MAX,
  parse: eventsFrom,
  refuses: () => false,
};

fuzz(decoded, raw);
