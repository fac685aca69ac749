import type { Poller, System } from "../../ffi/mod.ts";
import { guest, GUEST_MEMORY_TOPIC, packAny } from "../../proto/mod.ts";
import type { EventLog } from "../base/event_log.ts";
import { MemoryLoad } from "./memory_load.ts";
import { type Elastic, followPressure } from "./pressure.ts";
import { ProcessorLoad } from "./processor_load.ts";
import type { GuestEvent } from "../base/guest_event.ts";

/** What growing rests on. */
export interface GrowthHost {
  readonly system: System;
  readonly poller: Poller;
  readonly events: Pick<EventLog<GuestEvent>, "publish">;
  /** Hears why something does not grow. */
  readonly onError: (what: string, error: unknown) => void;
}

/** Lets the machine grow and shrink as the host has configured it. */
export function startGrowth(
  { system, poller, events, onError }: GrowthHost,
  { byLoad, memoryByPressure }: GrowthRules,
): void {
  const follow = (what: string, rules: RulesOnWire, elastic: Elastic): void => {
    const { growPercent, cooldownMilliseconds: cooldownMs } = rules;
    followPressure(system, poller, { growPercent, cooldownMs }, elastic)
      .catch((error) => onError(what, error));
  };
  if (byLoad !== undefined) follow("processors", byLoad, new ProcessorLoad());
  if (memoryByPressure !== undefined) {
    const ask = (mib: number): void =>
      events.publish({
        topic: GUEST_MEMORY_TOPIC,
        event: packAny(guest.MemoryWantedSchema, { mib }),
      });
    follow("memory", memoryByPressure, new MemoryLoad(memoryByPressure, ask));
  }
}

/** The parts of a ConfigureRequest that say what grows; absent: that does not. */
export type GrowthRules = Pick<guest.ConfigureRequest, "byLoad" | "memoryByPressure">;

type RulesOnWire = Pick<guest.ProcessorRules, "growPercent" | "cooldownMilliseconds">;
