import { VERSION } from "../base/mod.ts";
import { poller, strayObservers, type System } from "../ffi/mod.ts";
import {
  GUEST_READY_MARKER,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
  TtrpcServer,
} from "../proto/mod.ts";
import { bundleFor, bundleService } from "./services/bundle_service.ts";
import { Bundles } from "./bundle/bundles.ts";
import { checkpointService } from "./services/checkpoint_service.ts";
import { Checkpoints } from "./runtime/checkpoints.ts";
import { delegateControllers, guestCgroups } from "./cgroup/cgroup.ts";
import { type Console, describe } from "./base/console.ts";
import { ContainerEvents } from "./services/container_events.ts";
import { Containers } from "./container/containers.ts";
import { Crun } from "./runtime/crun.ts";
import { mountEarly } from "./system/early_mounts.ts";
import { ownDisks } from "./bundle/disks.ts";
import { EventLog } from "./base/event_log.ts";
import { Port } from "./base/listen.ts";
import { networkService } from "./services/network_service.ts";
import { setOnline } from "./scaling/processors.ts";
import { Reaper } from "./base/reaper.ts";
import { quiesce, reset } from "./system/shutdown.ts";
import { StreamRegistry } from "./stdio/stream_registry.ts";
import type { GuestEvent } from "./base/guest_event.ts";
import { systemService } from "./services/system_service.ts";
import { taskService } from "./services/task_service.ts";
import { Timeline } from "./base/timeline.ts";

/** Everything PID 1 does: mounts, then serves the host until it asks for the shutdown. */
export async function vminitd(system: System, console: Console): Promise<never> {
  const timeline = new Timeline(system);
  timeline.mark("vminitd started", performance.now());
  timeline.mark("main");
  strayObservers.add((what) => console.log(what));
  mountEarly(system);
  timeline.mark("mounted");
  const rpc = new Port(system, "rpc", GUEST_RPC_PORT, console);
  const byteStreams = new Port(system, "stream", GUEST_STREAM_PORT, console);
  timeline.mark("listening");
  // The host dials now. Meanwhile everything is made that its first call, which waits here, may need.
  console.raw(`\n${GUEST_READY_MARKER}\n`);

  for (const refused of delegateControllers()) console.log(`cgroup controller ${refused}`);
  const reaper = new Reaper(system);
  const streams = new StreamRegistry();
  const bundles = new Bundles(system, console);
  const events = new EventLog<GuestEvent>(({ topic }) => console.log(`dropped event ${topic}`));
  const checkpoints = new Checkpoints();
  const containers = new Containers({
    system,
    checkpoints,
    poller,
    reaper,
    streams,
    crun: new Crun(reaper),
    cgroups: guestCgroups(system, poller),
    flush: (bundle) => bundles.flush(bundle),
    observer: new ContainerEvents(system, events),
  });

  const quiesced = once(() => quiesce({ system, reaper, bundles, console }));
  const isReset = once(() => reset(system, rpc.disconnected()));
  const server = new TtrpcServer([
    taskService({
      containers,
      checkpoints,
      bundleFor: (request) => bundleFor(bundles, request),
      machine: { ownDisks: () => ownDisks(), setOnline: (count) => setOnline(count) },
      version: VERSION,
    }),
    bundleService(bundles, (path) => containers.usesBundle(path)),
    checkpointService(checkpoints),
    networkService(system),
    systemService({
      system,
      timeline,
      events,
      version: BUILD,
      startGrowth: (rules) => {
        const onError = (what: string, error: unknown): void =>
          console.log(`growth of ${what}: ${describe(error)}`);
        // Few machines have something to grow by: loaded where one has.
        import("./scaling/growth.ts")
          .then(({ startGrowth }) => startGrowth({ system, poller, events, onError }, rules))
          .catch((error) => onError("the machine", error));
      },
      quiesce: quiesced,
      reset: isReset,
    }),
  ], { onError: (error, where) => console.log(`${where}: ${describe(error)}`) });

  timeline.mark("serving");
  console.log(timeline.toString());
  return await Promise.race([
    rpc.serve((connection) => server.serve(connection)),
    byteStreams.serve((connection) => streams.serve(connection)),
  ]);
}

function once<T>(action: () => T): () => T {
  let done: { readonly result: T } | null = null;
  return () => (done ??= { result: action() }).result;
}
