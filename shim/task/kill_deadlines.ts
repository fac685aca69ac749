import { after, endsWithin, messageOf } from "../../base/mod.ts";
import type { Logger } from "../base/log.ts";
import type { Container } from "./container.ts";
import { describe } from "./process.ts";
import { TaskError } from "./task_error.ts";

/** How long an exit may take to be published, once nothing delays it any more. Milliseconds. */
const PUBLISHED_WITHIN_MS = 1_000;

/** The surroundings of the deadlines. */
export interface KillDeadlinesDeps {
  readonly log: Logger;
  /** Ends the VM from outside. */
  giveUp(reason: string): Promise<void>;
  readonly killTimeoutMs: number;
}

/**
 * Deadlines of containers whose init was sent SIGKILL. A guest that does not report the exit in
 * time is broken or hostile, so its VM is ended, also that of a pod. If only the output or a
 * checkpoint is late, that is given up, and the VM goes on.
 */
export class KillDeadlines {
  readonly #deps: KillDeadlinesDeps;
  readonly #started = new WeakSet<Container>();

  constructor(deps: KillDeadlinesDeps) {
    this.#deps = deps;
  }

  /** Starts the deadline of a container. The first SIGKILL counts. */
  start(container: Container): void {
    if (this.#started.has(container)) return;
    this.#started.add(container);
    const timer = after(this.#deps.killTimeoutMs, () => void this.#expire(container));
    container.init.stopped
      .then(() => container.unoccupied())
      .finally(() => timer[Symbol.dispose]());
  }

  async #expire(container: Container): Promise<void> {
    const { init } = container;
    const { log, killTimeoutMs, giveUp } = this.#deps;
    const within = `within ${killTimeoutMs / 1000} s of SIGKILL`;
    const hasEnded = init.hasEnded;
    container.giveUp(new TaskError("precondition", `${describe(init.name)} was killed`));
    if (hasEnded && await endsWithin(init.stopped, PUBLISHED_WITHIN_MS)) {
      log.warn(`${describe(init.name)} was not done ${within}: output or checkpoint given up`);
      return;
    }
    try {
      await giveUp(`${describe(init.name)} did not exit ${within}`);
    } catch (error) {
      log.error(`exit not reported: ${messageOf(error)}`);
    }
  }
}
