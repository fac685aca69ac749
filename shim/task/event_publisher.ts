import { after, delay, messageOf } from "../../base/mod.ts";
import { connectUnix } from "../../ffi/mod.ts";
import {
  type AnyMessageSchema,
  type ByteStream,
  type Client,
  Code,
  createClient,
  eventsService,
  type MessageInitShape,
  packAny,
  RpcError,
  timestampFromDate,
  TtrpcConnection,
  type types,
} from "../../proto/mod.ts";
import type { Logger } from "../base/log.ts";

/** Most events that wait for a containerd that does not answer. */
export const EVENT_QUEUE_MAX = 1024;
const FORWARD_TIMEOUT_MS = 5_000;
const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 1_000;
/**
 * An event that containerd refuses this often is dropped: it would hold back all events behind it
 * for ever. With the delays in between, that takes some 6 seconds.
 */
const REFUSALS_MAX = 10;

interface QueuedEvent {
  readonly topic: string;
  readonly envelope: MessageInitShape<typeof types.EnvelopeSchema>;
}

/** Connects to containerd's TTRPC socket. */
export type ConnectEvents = (
  path: string,
  options: { signal: AbortSignal },
) => Promise<ByteStream>;

/**
 * Sends events to containerd (`TTRPC_ADDRESS`), one after the other and in order. While containerd
 * restarts, an event is sent again until containerd takes it. The queue is bounded, and an event
 * that does not fit is logged as an error.
 */
export class EventPublisher {
  readonly #address: string;
  readonly #namespace: string;
  readonly #log: Logger;
  readonly #dial: ConnectEvents;
  readonly #queue: QueuedEvent[] = [];
  readonly #stop = new AbortController();
  #connection: TtrpcConnection | null = null;
  #client: Client<typeof eventsService.Events> | null = null;
  #sending: Promise<void> | null = null;

  /** @param address path of containerd's TTRPC socket; empty: events are dropped. */
  constructor(
    address: string,
    namespace: string,
    log: Logger,
    dial: ConnectEvents = connectUnix,
  ) {
    this.#address = address.replace(/^unix:\/\//, "");
    this.#namespace = namespace;
    this.#log = log;
    this.#dial = dial;
  }

  /**
   * Queues an event. Never blocks and never throws.
   *
   * @param options `expendable`: the event leaves half of the queue to those that are not.
   */
  publish<S extends AnyMessageSchema>(
    topic: string,
    schema: S,
    message: MessageInitShape<S>,
    { expendable = false }: { expendable?: boolean } = {},
  ): void {
    if (this.#address === "") return;
    if (this.#stop.signal.aborted) {
      this.#log.error(`event ${topic} is LOST: the shim exits`);
      return;
    }
    const room = expendable ? EVENT_QUEUE_MAX / 2 : EVENT_QUEUE_MAX;
    if (this.#queue.length >= room) {
      this.#log.error(`event ${topic} is LOST: ${room} events wait for containerd`);
      return;
    }
    const envelope = {
      timestamp: timestampFromDate(new Date()),
      namespace: this.#namespace,
      topic,
      event: packAny(schema, message),
    };
    this.#queue.push({ topic, envelope });
    this.#wake();
  }

  /** Waits until containerd has taken all events, at most `timeoutMs`. Closes the connection. */
  async close(timeoutMs: number): Promise<void> {
    using _timer = after(timeoutMs, () => this.#stop.abort());
    while (this.#sending !== null) await this.#sending;
    this.#stop.abort();
    if (this.#queue.length > 0) {
      this.#log.error(`${this.#queue.length} events are LOST: containerd did not take them`);
    }
    this.#disconnect();
  }

  #wake(): void {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
      // An event may have been queued since the queue was last read.
      if (this.#queue.length > 0 && !this.#stop.signal.aborted) this.#wake();
    });
  }

  async #send(): Promise<void> {
    let delayMs = RETRY_MS_MIN;
    let refusals = 0;
    while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
      const event = this.#queue[0]!;
      try {
        const client = await this.#connect();
        await client.forward({ envelope: event.envelope }, {
          timeoutMs: FORWARD_TIMEOUT_MS,
          signal: this.#stop.signal,
        });
        this.#queue.shift();
        [delayMs, refusals] = [RETRY_MS_MIN, 0];
      } catch (error) {
        const message = messageOf(error);
        this.#log.debug(`event ${event.topic} was not taken: ${message}`);
        this.#disconnect();
        if (isRefusal(error) && ++refusals >= REFUSALS_MAX) {
          this.#log.error(`event ${event.topic} is LOST: containerd refuses it: ${message}`);
          this.#queue.shift();
          [delayMs, refusals] = [RETRY_MS_MIN, 0];
          continue;
        }
        await delay(delayMs, this.#stop.signal);
        delayMs = Math.min(delayMs * 2, RETRY_MS_MAX);
      }
    }
  }

  async #connect(): Promise<Client<typeof eventsService.Events>> {
    if (this.#client === null) {
      this.#connection = new TtrpcConnection(
        await this.#dial(this.#address, { signal: this.#stop.signal }),
      );
      this.#client = createClient(eventsService.Events, this.#connection);
    }
    return this.#client;
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#client = null;
  }
}

/** Codes of a containerd that is not there. Every other code is its refusal. */
const NOT_THERE: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.DataLoss,
]);

function isRefusal(error: unknown): boolean {
  return error instanceof RpcError && !NOT_THERE.has(error.code);
}
