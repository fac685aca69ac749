import { Limiter, messageOf, TokenBucket, withDeadline } from "../../base/mod.ts";
import {
  type Any,
  type AnyMessageSchema,
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
  type MessageShape,
  openStream,
  RpcError,
  taskV3,
  type Timestamp,
  timestampDate,
  TtrpcConnection,
  unpackAny,
} from "../../proto/mod.ts";
import type { Exit } from "./exit.ts";
import { checkGuestBuild } from "./guest_build.ts";
import { GuestError, refusedByGuest } from "./guest_error.ts";

/**
 * The RPC connection to vminitd, and how to open byte streams.
 *
 * The guest is hostile: everything that comes out of it is checked here.
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

  /** Dials the RPC port of a guest that has reported ready. */
  static async open(dial: DialGuest, signal: AbortSignal): Promise<GuestConnection> {
    const stream = await dial(GUEST_RPC_PORT, { signal });
    const rate = new TokenBucket(MESSAGES);
    const paceMs = (unaskedBytes: number) => {
      const waitMs = rate.owe(1 + unaskedBytes / BYTES_PER_MESSAGE);
      return waitMs < PAUSE_MS_MIN ? 0 : waitMs;
    };
    return new GuestConnection(new TtrpcConnection(stream, { paceMs }), dial);
  }

  /** Resolves when the connection is lost, for whatever reason. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  /**
   * Sets the guest's clock, host name and rules of growth.
   *
   * @throws {GuestError}
   * @throws {RefusedError} if vminitd comes from another build than this shim.
   */
  async configure(
    request: MessageInitShape<typeof guest.ConfigureRequestSchema>,
    signal: AbortSignal,
  ): Promise<void> {
    const { vminitdVersion } = await answered("Configure", CALL_TIMEOUT_MS, (timeoutMs) => {
      return this.#system.configure(request, { signal, timeoutMs });
    });
    checkGuestBuild(vminitdVersion);
  }

  /**
   * Moves the guest's clock by `addNanoseconds`; 0 only reads it.
   *
   * @returns the guest's CLOCK_REALTIME afterwards, in nanoseconds.
   * @throws {GuestError}
   */
  async adjustClock(addNanoseconds: bigint): Promise<bigint> {
    const { unixNanoseconds } = await answered("AdjustClock", CALL_TIMEOUT_MS, (timeoutMs) => {
      return this.#system.adjustClock({ addNanoseconds }, { timeoutMs });
    });
    return unixNanoseconds;
  }

  /** Resolves, or rejects, when the guest has answered a call that does nothing. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.#system.adjustClock({ addNanoseconds: 0n }, { signal });
  }

  /**
   * Yields the guest's events in their order until the connection ends. Skips unknown topics.
   *
   * @throws {GuestError} `hostile` for an event that cannot be decoded.
   */
  async *events(signal: AbortSignal): AsyncGenerator<GuestExit | GuestOom | GuestMemory> {
    try {
      for await (const { topic, event } of this.#system.events({}, { signal })) {
        const decoded = event === undefined ? null : decode(topic, event);
        if (decoded !== null) yield decoded;
      }
    } catch (error) {
      throw refusedByGuest(error);
    }
  }

  /**
   * Opens the byte stream that the guest knows by `id`.
   *
   * @throws {GuestError} if the guest refuses it, or does not answer in time.
   */
  stream(
    id: string,
    signal: AbortSignal,
    timeoutMs: number = CALL_TIMEOUT_MS,
  ): Promise<ByteStream> {
    return this.#opening.run(() => this.#open(id, signal, timeoutMs));
  }

  async #open(id: string, signal: AbortSignal, timeoutMs: number): Promise<ByteStream> {
    const stream = await this.#dial(GUEST_STREAM_PORT, { signal });
    const onTimeout = () => GuestError.unanswered(`the opening of stream ${id}`, timeoutMs);
    try {
      await withDeadline({ timeoutMs, signal, onTimeout }, (signal) => {
        return openStream(stream, id, { signal });
      });
      return stream;
    } catch (error) {
      stream.close();
      throw refusedByGuest(error);
    }
  }

  /**
   * Asks the guest to shut down. Resolves when it has acknowledged that nothing is left in it that
   * is not on disk.
   *
   * @throws {GuestError}
   */
  async shutdown(timeoutMs: number): Promise<void> {
    await answered("Shutdown", timeoutMs, (timeoutMs) => this.#system.shutdown({}, { timeoutMs }));
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/** How to reach the guest's vsock ports. */
export type DialGuest = (port: number, options: { signal: AbortSignal }) => Promise<ByteStream>;

/** A process in the guest exited; checked. */
export interface GuestExit {
  readonly containerId: string;
  /** The container's id for its init, else the exec id. */
  readonly processId: string;
  readonly exit: Exit;
}

/** A process in the guest was OOM-killed at its container's memory limit. */
export interface GuestOom {
  readonly containerId: string;
}

/** The guest asks for memory, or returns some. */
export interface GuestMemory {
  /** All the memory that it would use. */
  readonly wantedMib: number;
}

const EXIT_TOPIC = "/tasks/exit";
const OOM_TOPIC = "/tasks/oom";

/** Timeout of a short call. A guest that takes longer counts as dead. Milliseconds. */
const CALL_TIMEOUT_MS = 10_000;
/**
 * Messages of the guest that are read, answers and events. 50 execs at once need some 300. A guest
 * that sends more waits for its own connection.
 */
const MESSAGES = { perSecond: 500, burst: 4_000 };
/**
 * As many bytes of what nobody asked for, events above all, count as one more message. An answer of
 * a MiB whose call was given up is within the burst.
 */
const BYTES_PER_MESSAGE = 256;
/** A timer for each message would cost more than the message. */
const PAUSE_MS_MIN = 50;
/** More at once may overflow the backlog of vminitd's listening socket in the guest's kernel. */
const STREAMS_OPENING_MAX = 32;

/**
 * Makes a call that the guest has to answer in time: a guest may hang, or be hostile.
 *
 * @param method names the call in the error.
 * @throws {GuestError} `unanswered` after `timeoutMs`; `refused` with the guest's own code, or with
 *   Code.Unavailable or Code.DataLoss if the connection is lost.
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
    throw isLate ? GuestError.unanswered(method, timeoutMs) : refusedByGuest(error);
  }
}

/** Decodes an event of a known topic; returns null for other topics. */
function decode(topic: string, event: Any): GuestExit | GuestOom | GuestMemory | null {
  switch (topic) {
    case OOM_TOPIC:
      return { containerId: unpacked(events.TaskOOMSchema, event).containerId };
    case GUEST_MEMORY_TOPIC:
      return { wantedMib: unpacked(guest.MemoryWantedSchema, event).mib };
    case EXIT_TOPIC: {
      const { containerId, id, exitStatus, exitedAt } = unpacked(events.TaskExitSchema, event);
      const exit = { status: exitStatus, at: plausibleDate(exitedAt) };
      return { containerId, processId: id, exit };
    }
    default:
      return null;
  }
}

function unpacked<D extends AnyMessageSchema>(schema: D, event: Any): MessageShape<D> {
  try {
    return unpackAny(schema, event);
  } catch (error) {
    throw GuestError.hostile(`guest sent a malformed event: ${messageOf(error)}`, error);
  }
}

/** containerd cannot encode a later time (google.protobuf.Timestamp). */
const LAST_DATE = Date.UTC(9999, 11, 31);

/** Returns a time that the guest reports, or now if it is absent or out of range. */
function plausibleDate(timestamp: Timestamp | undefined): Date {
  if (timestamp !== undefined) {
    const date = timestampDate(timestamp);
    if (date.getTime() >= 0 && date.getTime() <= LAST_DATE) return date;
  }
  return new Date();
}
