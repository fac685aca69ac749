import type { System } from "../../ffi/mod.ts";
import type { Logger } from "../base/log.ts";
import type { SandboxName, SandboxPaths } from "../base/names.ts";
import type { OnHost } from "../base/on_host.ts";
import type { Timeline } from "../base/timeline.ts";
import { reconcile } from "../cleanup/reconcile.ts";
import type { Config } from "../config/config.ts";
import { networkFacts } from "../lease/network_facts.ts";
import { collectNetworkGarbage } from "../sandbox/network.ts";
import type { ShimEvents } from "../task/task_service.ts";
import { releaseMemoryWhenIdle } from "./idle_memory.ts";

/** What a serving shim does besides answering calls. */
export interface ShimLifeDeps {
  readonly system: System;
  readonly config: Config;
  readonly paths: SandboxPaths;
  readonly name: SandboxName;
  readonly timeline: Timeline;
  readonly log: Logger;
  readonly onHost: OnHost;
}

/** The life of a serving shim: upkeep of the host once its container runs, and its own exit. */
export class ShimLife implements ShimEvents {
  readonly #deps: ShimLifeDeps;
  readonly #exit = Promise.withResolvers<void>();
  readonly #told = new AbortController();
  readonly #upkeep = new AbortController();
  #garbage = Promise.resolve();

  constructor(deps: ShimLifeDeps) {
    this.#deps = deps;
  }

  /** Aborts when a signal tells this process to exit: what is being made is given up. */
  get toldToExit(): AbortSignal {
    return this.#told.signal;
  }

  started(): void {
    this.#deps.timeline.mark("started");
    void this.#healHost();
    releaseMemoryWhenIdle(this.#deps.system);
  }

  stopped(): void {
    this.#deps.timeline.end();
  }

  exit(): void {
    this.#exit.resolve();
  }

  /** On SIGTERM and SIGINT, ends `service` and then this shim. */
  exitOnSignals(service: { end(): Promise<void> }): void {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      Deno.addSignalListener(signal, () => {
        this.#deps.log.warn(`${signal} received, ending the sandbox`);
        this.#told.abort(new Error(`${signal} ended the shim`));
        void service.end().finally(() => this.exit());
      });
    }
  }

  /** Resolves when this shim has to exit and its upkeep of the host has come to rest. */
  async over(): Promise<void> {
    await this.#exit.promise;
    // Others wait for the lock of the upkeep and must not find a plugin that is still running.
    this.#upkeep.abort(new Error("the shim exits"));
    await this.#garbage;
  }

  /** Undoes what dead shims left behind, off the start path: the container runs by now. */
  async #healHost(): Promise<void> {
    const { system, config, paths, name, log, onHost } = this.#deps;
    await reconcile(system, config, log, onHost);
    const context = { system, log, onHost, signal: this.#upkeep.signal };
    this.#garbage = collectNetworkGarbage(networkFacts(config, paths, name), name, context);
  }
}
