import { type System } from "../../ffi/mod.ts";
import { guest, implement, type ServiceBinding } from "../../proto/mod.ts";
import { type EventLog } from "../base/event_log.ts";
import type { GuestEvent } from "../base/guest_event.ts";
import { type Timeline } from "../base/timeline.ts";
import type { GrowthRules } from "../scaling/growth_rules.ts";

/** Implements qemubox.guest.v1.System. */
export function systemService(deps: SystemServiceDeps): ServiceBinding {
  const { system, timeline, events, version, startGrowth, quiesce, reset } = deps;
  return implement(guest.System, {
    configure: ({ unixNanoseconds, hostname, byLoad, memoryByPressure }) => {
      if (unixNanoseconds > 0n) system.setClock(unixNanoseconds);
      if (hostname !== "") system.setHostname(hostname);
      if (byLoad !== undefined || memoryByPressure !== undefined) {
        startGrowth({ byLoad, memoryByPressure });
      }
      return {
        kernelRelease: Deno.osRelease(),
        vminitdVersion: version,
        timeline: timeline.points.map(({ name, bootNanoseconds }) => ({ name, bootNanoseconds })),
      };
    },
    adjustClock: ({ addNanoseconds }) => {
      if (addNanoseconds !== 0n) system.setClock(system.clock("realtime") + addNanoseconds);
      return { unixNanoseconds: system.clock("realtime") };
    },
    events: (_request, { signal }) => events.subscribe(signal),
    shutdown: async (_request, { answered }) => {
      await quiesce();
      answered.then(reset);
      return {};
    },
  });
}

/** The parts of vminitd that the system service uses. */
export interface SystemServiceDeps {
  readonly system: System;
  readonly timeline: Timeline;
  readonly events: EventLog<GuestEvent>;
  /** Build of this vminitd: the shim takes only its own. */
  readonly version: string;
  /** Makes the guest grow and shrink by these rules from now on. */
  readonly startGrowth: (rules: GrowthRules) => void;
  /** Prepares the shutdown; the host gets its answer when this is done. */
  readonly quiesce: () => Promise<void>;
  /** Called when that answer has been written. */
  readonly reset: () => unknown;
}
