import type { Poller, System } from "../../ffi/mod.ts";
import { guest, GUEST_MEMORY_TOPIC, packAny } from "../../proto/mod.ts";
import type { EventLog } from "../base/event_log.ts";
import type { GuestEvent } from "../base/guest_event.ts";
import { CpuLoad } from "./cpu_load.ts";
import type { GrowthRules } from "./growth_rules.ts";
import { MemoryLoad } from "./memory_load.ts";
import { type Elastic, followPressure } from "./pressure.ts";

/** Makes the guest grow and shrink by the host's rules. */
export function startGrowth(
  { system, poller, events, onError }: GrowthDeps,
  { byLoad, memoryByPressure }: GrowthRules,
): void {
  const follow = (what: string, rules: RulesOnWire, elastic: Elastic): void => {
    const { growPercent, cooldownMilliseconds: cooldownMs } = rules;
    followPressure(system, poller, { growPercent, cooldownMs }, elastic)
      .catch((error) => onError(what, error));
  };
  if (byLoad !== undefined) follow("CPUs", byLoad, new CpuLoad());
  if (memoryByPressure !== undefined) {
    const ask = (mib: number): void =>
      events.publish({
        topic: GUEST_MEMORY_TOPIC,
        event: packAny(guest.MemoryWantedSchema, { mib }),
      });
    follow("memory", memoryByPressure, new MemoryLoad(memoryByPressure, ask));
  }
}

/** The parts of vminitd that growth uses. */
export interface GrowthDeps {
  readonly system: System;
  readonly poller: Poller;
  readonly events: Pick<EventLog<GuestEvent>, "publish">;
  /** Receives the resource that cannot grow, and why. */
  readonly onError: (what: string, error: unknown) => void;
}

type RulesOnWire = Pick<guest.ProcessorRules, "growPercent" | "cooldownMilliseconds">;
