import { Limiter } from "../../base/mod.ts";
import {
  type ByteStream,
  type Client,
  Code,
  createClient,
  events,
  guest,
  GUEST_MEMORY_TOPIC,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
  type MessageInitShape,
  openStream,
  RpcError,
  taskV3,
  type Timestamp,
  timestampDate,
  TtrpcConnection,
  unpackAny,
} from "../../proto/mod.ts";
import type { Exit } from "./exit.ts";

/** How to reach the guest's vsock ports. */
export type DialGuest = (port: number, options: { signal: AbortSignal }) => Promise<ByteStream>;

/** What the guest reports of its own accord, checked. */
export interface GuestExit {
  readonly containerId: string;
  /** The process: the container's id for its init, else the exec's. */
  readonly processId: string;
  readonly exit: Exit;
}

/** A process in the guest was killed because its container's memory was at its limit. */
export interface GuestOom {
  readonly containerId: string;
}

/** The guest asks for memory, or gives some back. */
export interface GuestMemory {
  /** What it would use, all in all. */
  readonly wantedMib: number;
}

const EXIT_TOPIC = "/tasks/exit";
const OOM_TOPIC = "/tasks/oom";

/** A short call to a healthy guest; a guest that takes longer is taken for dead. Milliseconds. */
const CALL_TIMEOUT_MS = 10_000;
/** More at a time could be more than the guest's kernel keeps for vminitd to accept. */
const STREAMS_OPENING_MAX = 32;

/**
 * The RPC connection to vminitd and the way to open byte streams.
 *
 * The guest is hostile: what comes out of it is checked where it comes in.
 */
export class GuestConnection implements Disposable {
  readonly task: Client<typeof taskV3.Task>;
  readonly bundles: Client<typeof guest.Bundles>;
  readonly checkpoints: Client<typeof guest.Checkpoints>;
  readonly network: Client<typeof guest.Network>;
  readonly #system: Client<typeof guest.System>;
  readonly #connection: TtrpcConnection;
  readonly #dial: DialGuest;
  readonly #opening = new Limiter(STREAMS_OPENING_MAX);

  private constructor(connection: TtrpcConnection, dial: DialGuest) {
    this.#connection = connection;
    this.#dial = dial;
    this.task = createClient(taskV3.Task, connection);
    this.bundles = createClient(guest.Bundles, connection);
    this.checkpoints = createClient(guest.Checkpoints, connection);
    this.network = createClient(guest.Network, connection);
    this.#system = createClient(guest.System, connection);
  }

  /** Dials the RPC port of a guest that is ready. */
  static async open(dial: DialGuest, signal: AbortSignal): Promise<GuestConnection> {
    const stream = await dial(GUEST_RPC_PORT, { signal });
    return new GuestConnection(new TtrpcConnection(stream), dial);
  }

  /** Resolves when the connection is gone, for whatever reason. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /** Sets the guest's clock and host name, and more of the kind. */
  async configure(
    request: MessageInitShape<typeof guest.ConfigureRequestSchema>,
    signal: AbortSignal,
  ): Promise<void> {
    await answered("Configure", CALL_TIMEOUT_MS, (timeoutMs) => {
      return this.#system.configure(request, { signal, timeoutMs });
    });
  }

  /** Moves the guest's clock, in nanoseconds; 0 only asks. Returns what it says then. */
  async adjustClock(addNanoseconds: bigint): Promise<bigint> {
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    return (await this.#system.adjustClock({ addNanoseconds }, options)).unixNanoseconds;
  }

  /** What the guest reports, in its order, until the connection ends. Other kinds are skipped. */
  async *events(signal: AbortSignal): AsyncGenerator<GuestExit | GuestOom | GuestMemory> {
    for await (const message of this.#system.events({}, { signal })) {
      if (message.event === undefined) continue;
      if (message.topic === OOM_TOPIC) {
        yield { containerId: unpackAny(events.TaskOOMSchema, message.event).containerId };
        continue;
      }
      if (message.topic === GUEST_MEMORY_TOPIC) {
        yield { wantedMib: unpackAny(guest.MemoryWantedSchema, message.event).mib };
        continue;
      }
      if (message.topic !== EXIT_TOPIC) continue;
      const event = unpackAny(events.TaskExitSchema, message.event);
      yield {
        containerId: event.containerId,
        processId: event.id,
        exit: {
          status: event.exitStatus,
          at: plausibleDate(event.exitedAt),
        },
      };
    }
  }

  /** Opens one byte stream by the id that the guest knows it by. */
  stream(
    id: string,
    signal: AbortSignal,
    timeoutMs: number = CALL_TIMEOUT_MS,
  ): Promise<ByteStream> {
    return this.#opening.run(() => this.#open(id, signal, timeoutMs));
  }

  async #open(id: string, signal: AbortSignal, timeoutMs: number): Promise<ByteStream> {
    const stream = await this.#dial(GUEST_STREAM_PORT, { signal });
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(unanswered(`for stream ${id}`, timeoutMs)),
      timeoutMs,
    );
    try {
      await openStream(stream, id, { signal: AbortSignal.any([signal, late.signal]) });
      return stream;
    } catch (error) {
      stream.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks the guest to end; resolves with its acknowledgement. */
  async shutdown(timeoutMs: number): Promise<void> {
    await this.#system.shutdown({}, { timeoutMs });
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/**
 * Makes a call that the guest has to answer in time: a guest may be hostile, or hang.
 * @throws RpcError DeadlineExceeded that says which call it left unanswered.
 */
export async function answered<T>(
  method: string,
  timeoutMs: number,
  call: (timeoutMs: number) => Promise<T>,
): Promise<T> {
  try {
    return await call(timeoutMs);
  } catch (error) {
    const isLate = error instanceof RpcError && error.code === Code.DeadlineExceeded;
    throw isLate ? unanswered(method, timeoutMs) : error;
  }
}

function unanswered(what: string, timeoutMs: number): RpcError {
  const message = `guest did not answer ${what} within ${timeoutMs / 1000} s`;
  return new RpcError(Code.DeadlineExceeded, message);
}

/** Later times have no timestamp that containerd could write down. */
const LAST_DATE = Date.UTC(9999, 11, 31);

/** When something was, says the guest; now, when it says nothing that can be. */
function plausibleDate(timestamp: Timestamp | undefined): Date {
  if (timestamp !== undefined) {
    const date = timestampDate(timestamp);
    if (date.getTime() >= 0 && date.getTime() <= LAST_DATE) return date;
  }
  return new Date();
}
