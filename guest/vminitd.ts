import { BUILD, describeError, VERSION } from "../base/mod.ts";
import { type Poller, poller, strayObservers, type System } from "../ffi/mod.ts";
import {
  GUEST_READY_MARKER,
  GUEST_RPC_PORT,
  GUEST_STREAM_PORT,
  type ServiceBinding,
  TtrpcServer,
} from "../proto/mod.ts";
import { type Console } from "./base/console.ts";
import { awaitSecret } from "./base/console_input.ts";
import { EventLog } from "./base/event_log.ts";
import type { GuestEvent } from "./base/guest_event.ts";
import { Gate } from "./base/gate.ts";
import { Port } from "./base/port.ts";
import { Reaper } from "./base/reaper.ts";
import { Timeline } from "./base/timeline.ts";
import { Bundles } from "./bundle/bundles.ts";
import { ownDisks } from "./bundle/disks.ts";
import { delegateControllers, guestCgroups } from "./cgroup/cgroup.ts";
import { Containers } from "./container/containers.ts";
import { Checkpoints } from "./runtime/checkpoints.ts";
import { Crun } from "./runtime/crun.ts";
import { setOnline } from "./scaling/cpus.ts";
import type { GrowthDeps } from "./scaling/growth.ts";
import type { GrowthRules } from "./scaling/growth_rules.ts";
import { bundleFor, bundleService } from "./services/bundle_service.ts";
import { checkpointService } from "./services/checkpoint_service.ts";
import { ContainerEvents } from "./services/container_events.ts";
import { networkService } from "./services/network_service.ts";
import { hideOwnFailures } from "./services/own_failures.ts";
import { systemService } from "./services/system_service.ts";
import { taskService } from "./services/task_service.ts";
import { StreamRegistry } from "./stdio/stream_registry.ts";
import { mountEarly } from "./system/early_mounts.ts";
import { quiesce, reset } from "./system/shutdown.ts";

/** Runs PID 1: mounts, then serves the host until it asks for the shutdown. */
export async function vminitd(system: System, console: Console): Promise<never> {
  const timeline = new Timeline(system);
  timeline.mark("vminitd started", performance.now());
  timeline.mark("main");
  strayObservers.add((what) => console.log(what));
  mountEarly(system);
  timeline.mark("mounted");
  const rpc = new Port(system, "rpc", GUEST_RPC_PORT, console);
  const byteStreams = new Port(system, "stream", GUEST_STREAM_PORT, console);
  const coming = awaitSecret(system);
  timeline.mark("listening");
  // The host sends the secret and dials now. Its first call waits here, while everything that it
  // may need is made.
  console.raw(`\n${GUEST_READY_MARKER}\n`);

  for (const refused of delegateControllers()) console.log(`cgroup controller ${refused}`);
  const streams = new StreamRegistry();
  const services = makeServices({ system, poller, console, timeline, rpc, streams });
  const onError = (error: unknown, where: string): void =>
    console.log(`${where}: ${describeError(error)}`);
  const server = new TtrpcServer(
    services.map((service) => hideOwnFailures(service, onError)),
    { onError },
  );

  timeline.mark("serving");
  console.log(timeline.toString());
  // Until here the secret waits in the terminal's buffer.
  const secret = coming.receive();
  const gateOf = (name: string, port: number) => new Gate({ name, port, secret, console });
  return await Promise.race([
    rpc.serve(gateOf("rpc", GUEST_RPC_PORT), (connection) => server.serve(connection)),
    byteStreams.serve(gateOf("stream", GUEST_STREAM_PORT), (connection) => {
      return streams.serve(connection);
    }),
    // A guest that cannot get its secret serves nobody.
    secret.then(() => new Promise<never>(() => {})),
  ]);
}

/** The parts that the services share with the rest of vminitd. */
interface ServicesDeps {
  readonly system: System;
  readonly poller: Poller;
  readonly console: Console;
  readonly timeline: Timeline;
  readonly rpc: Port;
  readonly streams: StreamRegistry;
}

function makeServices(deps: ServicesDeps): ServiceBinding[] {
  const { system, poller, console, timeline, rpc, streams } = deps;
  const reaper = new Reaper(system);
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
  return [
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
          console.log(`growth of ${what}: ${describeError(error)}`);
        loadGrowth({ system, poller, events, onError }, rules);
      },
      quiesce: once(() => quiesce({ system, reaper, bundles, console })),
      reset: once(() => reset(system, rpc.disconnected())),
    }),
  ];
}

/** Loads the code of growth only in a guest that has something to grow by: few have. */
function loadGrowth(deps: GrowthDeps, rules: GrowthRules): void {
  import("./scaling/growth.ts")
    .then(({ startGrowth }) => startGrowth(deps, rules))
    .catch((error) => deps.onError("the guest", error));
}

function once<T>(action: () => T): () => T {
  let done: { readonly result: T } | null = null;
  return () => (done ??= { result: action() }).result;
}
