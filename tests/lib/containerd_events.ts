/** Events of containerd, as `ctr events` prints them. */

import { ctrOk } from "./ctr.ts";
import { killChild } from "./kill_child.ts";
import { patience, within } from "./wait.ts";

const SUBSCRIBED_WITHIN_MS = patience(10_000);
/** A container's start takes this long under TCG and beside other work. */
const START_WITHIN_MS = patience(60_000);

/** An event of containerd. */
export interface Event {
  readonly namespace: string;
  readonly topic: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A subscription to events, which stands when `open` resolves. */
export class Events implements AsyncDisposable {
  readonly seen: Event[] = [];
  readonly #process: Deno.ChildProcess;
  readonly #end: Promise<void>;
  #more = Promise.withResolvers<void>();

  private constructor() {
    this.#process = new Deno.Command("ctr", {
      args: ["events"],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#end = this.#read();
  }

  /**
   * Subscribes. Nothing reports that a subscription stands, so it causes events until one is seen.
   */
  static async open(): Promise<Events> {
    const events = new Events();
    const subscribed = async () => {
      for (let attempt = 1; events.seen.length === 0; attempt++) {
        await ctrOk("namespaces", "label", "default", `attempt=${attempt}`);
      }
      await ctrOk("namespaces", "label", "default", "attempt=");
    };
    try {
      await within("a subscription to events", SUBSCRIBED_WITHIN_MS, subscribed());
      return events;
    } catch (error) {
      await events[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits for an event of a task; returns at once if it has been seen already. */
  async wait(topic: string, id: string, withinMs = START_WITHIN_MS): Promise<Event> {
    const search = async () => {
      for (;;) {
        const event = this.of(id).find((one) => one.topic === topic);
        if (event !== undefined) return event;
        await this.#more.promise;
      }
    };
    return await within(`event ${topic} of ${id}`, withinMs, search());
  }

  /** Returns all events of a task so far. */
  of(id: string, namespace = "default"): Event[] {
    return this.seen.filter((one) =>
      one.namespace === namespace && one.body["container_id"] === id
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    killChild(this.#process);
    await this.#end;
    await this.#process.status;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(line);
    }
  }

  /** Parses "DATE TIME ZONE ZONE NAMESPACE TOPIC JSON". */
  #take(line: string): void {
    const match = / (\S+) (\/\S+) (\{.*\})$/.exec(line);
    if (match === null) return;
    this.seen.push({ namespace: match[1]!, topic: match[2]!, body: JSON.parse(match[3]!) });
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}
