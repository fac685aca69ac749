/**
 * A vminitd that was taken over, PID 1 of the root image of hostile_guest_test.ts: the program as
 * it is, with its secret and its build, of which methods are replaced. It misbehaves when an exec
 * process with an id of misdeeds.ts is made.
 */

import { system } from "../../ffi/mod.ts";
import { openConsole } from "../../guest/base/console.ts";
import { EventLog } from "../../guest/base/event_log.ts";
import type { GuestEvent } from "../../guest/base/guest_event.ts";
import { Containers } from "../../guest/container/containers.ts";
import { Execs } from "../../guest/container/execs.ts";
import { ContainerEvents } from "../../guest/services/container_events.ts";
import { StreamRegistry } from "../../guest/stdio/stream_registry.ts";
import { die, dieOnUncaughtErrors } from "../../guest/system/crash.ts";
import { vminitd } from "../../guest/vminitd.ts";
import {
  type ByteStream,
  create,
  events,
  guest,
  GUEST_MEMORY_TOPIC,
  packAny,
  toBinary,
  TtrpcServer,
} from "../../proto/mod.ts";
import { concat } from "../lib/bytes.ts";
import { MISDEEDS } from "./misdeeds.ts";

/** Larger than the shim takes, and how much of it is sent. Bytes. */
const OVERSIZED = 1024 ** 3, SENT = 8 * 1024 ** 2;
const HEADER_BYTES = 10, PAYLOAD_BYTES = 1024;
/** Types of messages. */
const RESPONSE = 2, DATA = 3;
/** No call of the shim's: those count up from 1. */
const UNKNOWN_CALL = 0x7fff_ffff;
/** Messages that are sent at once, so that the guest's own calls do not slow the flood down. */
const BATCH = 64;
const REFUSED = 1, REASON_BYTES = 1024;
/** Characters in which the stream's id comes. */
const PREAMBLE_MAX = 300;

let containerId = "";
let reportsNoExit = false;
let rpc: SharedStream | null = null;

function misbehave(execId: string): void {
  const [, misdeed, seconds] = /^(.*)-(\d+)$/.exec(execId) ?? [];
  if (misdeed === MISDEEDS.flood) void flood(Number(seconds) * 1000);
  if (execId === MISDEEDS.oversized) {
    void rpc?.write(message(RESPONSE, UNKNOWN_CALL, new Uint8Array(SENT), OVERSIZED));
  }
}

async function flood(ms: number): Promise<void> {
  const one = concat([...lies(), message(RESPONSE, UNKNOWN_CALL, new Uint8Array(PAYLOAD_BYTES))]);
  const batch = concat(Array.from({ length: BATCH }, () => one));
  let count = 0;
  for (const end = performance.now() + ms; performance.now() < end; count += BATCH) {
    await rpc?.write(batch);
  }
  openConsole(system).log(`sent ${count} lies of each kind`);
}

/** Events of each topic, and of one that nobody knows, as messages. */
function lies(): Uint8Array[] {
  const oom = packAny(events.TaskOOMSchema, { containerId });
  const exit = packAny(events.TaskExitSchema, { containerId, id: "no-process", pid: 4711 });
  const lies: GuestEvent[] = [
    { topic: "/tasks/oom", event: oom },
    { topic: "/tasks/exit", event: exit },
    { topic: GUEST_MEMORY_TOPIC, event: packAny(guest.MemoryWantedSchema, { mib: 4711 }) },
    FIRST_LIE,
  ];
  const schema = guest.GuestEventSchema;
  return lies.map((lie) => message(DATA, rpc!.eventsCall, toBinary(schema, create(schema, lie))));
}

/** An event without a meaning, by which the number of the call for events becomes known. */
const FIRST_LIE: GuestEvent = { topic: "/lies" };

async function* withFirstLie(truth: AsyncGenerator<unknown>): AsyncGenerator<unknown> {
  yield FIRST_LIE;
  yield* truth;
}

/** Returns a message of TTRPC. Its header says `length`, whatever the length is. */
function message(
  type: number,
  call: number,
  payload: Uint8Array,
  length: number = payload.length,
): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, length);
  view.setUint32(4, call);
  view.setUint8(8, type);
  message.set(payload, HEADER_BYTES);
  return message;
}

/** A connection on which whole messages of two writers alternate. */
class SharedStream implements ByteStream {
  readonly read: ByteStream["read"];
  readonly close: ByteStream["close"];
  /** The call of the shim that events answer. */
  eventsCall = 0;
  readonly #stream: ByteStream;
  #last: Promise<void> = Promise.resolve();

  constructor(stream: ByteStream) {
    this.read = (into, options) => stream.read(into, options);
    this.close = () => stream.close();
    this.#stream = stream;
  }

  write(data: Uint8Array): Promise<void> {
    if (this.eventsCall === 0 && data[8] === DATA) {
      this.eventsCall = new DataView(data.buffer, data.byteOffset).getUint32(4);
    }
    const written = this.#last.then(() => this.#stream.write(data));
    this.#last = written.catch(() => {});
    return written;
  }
}

/** The connection of a byte stream whose opening is answered by a refusal, or not at all. */
function unopened(stream: ByteStream): ByteStream {
  let preamble = "";
  return {
    read: async (into, options) => {
      const count = await stream.read(into, options);
      if (count !== null && preamble.length < PREAMBLE_MAX) {
        preamble += new TextDecoder().decode(into.subarray(0, count));
      }
      return count;
    },
    write: async (data, options) => {
      if (preamble.includes(MISDEEDS.stalled)) return await new Promise<void>(() => {});
      await stream.write(preamble.includes(MISDEEDS.refused) ? refusal() : data, options);
    },
    close: () => {
      if (!preamble.includes(MISDEEDS.stalled)) stream.close();
    },
  };
}

/** A reason of the greatest length, which moves the cursor of a terminal. */
function refusal(): Uint8Array {
  const message = new Uint8Array(1 + 4 + REASON_BYTES);
  message.set(new TextEncoder().encode("\x1b[2J\r\nlevel=error lie ".repeat(43)), 5);
  message[0] = REFUSED;
  new DataView(message.buffer).setUint32(1, REASON_BYTES);
  return message;
}

function takeOver(): void {
  const { create } = Containers.prototype;
  Containers.prototype.create = function (id, ...rest) {
    containerId = id;
    return create.call(this, id, ...rest);
  };
  const { add } = Execs.prototype;
  Execs.prototype.add = function (execId, ...rest) {
    misbehave(execId);
    return add.call(this, execId, ...rest);
  };
  const { exited } = ContainerEvents.prototype;
  ContainerEvents.prototype.exited = function (container, process, exit) {
    if (!reportsNoExit) exited.call(this, container, process, exit);
    // The exit of this process is the last one.
    if (process.execId === MISDEEDS.noExits) reportsNoExit = true;
  };
  const { subscribe } = EventLog.prototype;
  EventLog.prototype.subscribe = function (signal) {
    return withFirstLie(subscribe.call(this, signal)) as ReturnType<typeof subscribe>;
  };
  const { serve } = TtrpcServer.prototype;
  TtrpcServer.prototype.serve = function (stream) {
    return serve.call(this, rpc = new SharedStream(stream));
  };
  const { serve: serveStream } = StreamRegistry.prototype;
  StreamRegistry.prototype.serve = function (stream) {
    return serveStream.call(this, unopened(stream));
  };
}

if (import.meta.main && Deno.pid === 1) {
  takeOver();
  const console = openConsole(system);
  dieOnUncaughtErrors(console, Deno.exit);
  await vminitd(system, console).catch((error) => die(console, error, Deno.exit));
}
