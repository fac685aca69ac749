import { type System } from "../../ffi/mod.ts";
import { guest, implement, type ServiceBinding } from "../../proto/mod.ts";
import { type EventLog } from "../base/event_log.ts";
import type { GuestEvent } from "../base/guest_event.ts";
import type { GrowthRules } from "../scaling/growth.ts";
import { type Timeline } from "../base/timeline.ts";

/** What the system service rests on. */
export interface SystemServiceDependencies {
  readonly system: System;
  readonly timeline: Timeline;
  readonly events: EventLog<GuestEvent>;
  /** Build of this vminitd: the shim takes only its own. */
  readonly version: string;
  /** From now on the machine grows and shrinks by these rules. */
  readonly startGrowth: (rules: GrowthRules) => void;
  /** Called when the host asks for the shutdown; it is answered when this is done. */
  readonly quiesce: () => Promise<void>;
  /** Called when that answer has been written. */
  readonly reset: () => unknown;
}

/** qemubox.guest.v1.System. */
export function systemService(dependencies: SystemServiceDependencies): ServiceBinding {
  const { system, timeline, events, version, quiesce, reset } = dependencies;
  return implement(guest.System, {
    configure: ({ unixNanoseconds, hostname, byLoad, memoryByPressure }) => {
      if (unixNanoseconds > 0n) system.setClock(unixNanoseconds);
      if (hostname !== "") system.setHostname(hostname);
      if (byLoad !== undefined || memoryByPressure !== undefined) {
        dependencies.startGrowth({ byLoad, memoryByPressure });
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
