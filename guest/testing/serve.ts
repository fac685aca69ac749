/**
 * The program of `withGuest`: vminitd's task service and streams on Unix sockets, in a process of
 * its own, because its reaper reaps every child. Arguments: a directory for the sockets `rpc` and
 * `streams` and for crun's state; the limit of a crun call, in ms.
 */
import { FdListener, type Pid, poller, SIG, system } from "../../ffi/mod.ts";
import { Code, guest, implement, RpcError, type taskV3, TtrpcServer } from "../../proto/mod.ts";
import { type ContainerBundle } from "../services/bundle_service.ts";
import { checkpointService } from "../services/checkpoint_service.ts";
import { Checkpoints } from "../runtime/checkpoints.ts";
import { ContainerEvents } from "../services/container_events.ts";
import { Containers } from "../container/containers.ts";
import { Crun } from "../runtime/crun.ts";
import { EventLog } from "../base/event_log.ts";
import { Reaper } from "../base/reaper.ts";
import { StreamRegistry } from "../stdio/stream_registry.ts";
import { type GuestEvent } from "../base/guest_event.ts";
import { hideOwnFailures } from "../services/own_failures.ts";
import { taskService } from "../services/task_service.ts";

const [directory, timeoutMs] = Deno.args as [string, string];
system.setChildSubreaper(true);
const reaper = new Reaper(system);
const streams = new StreamRegistry();
const events = new EventLog<GuestEvent>(() => {});
const crun = new Crun(reaper, {
  path: new URL("crun.sh", import.meta.url).pathname,
  root: `${directory}/crun`,
  scratch: `${directory}/scratch`,
  timeoutMs: Number(timeoutMs),
});
const checkpoints = new Checkpoints(`${directory}/checkpoints`);
const containers = new Containers({
  system,
  checkpoints,
  poller,
  reaper,
  streams,
  crun,
  flush: () => Promise.resolve(),
  // All processes of all containers are children of this one.
  cgroups: {
    of: (pid) => `/cgroup-of/${pid}`,
    processes: () =>
      Deno.readTextFileSync(`/proc/self/task/${Deno.pid}/children`).trim().split(" ").map(Number),
    kill: () => {},
    freeze: (cgroup) => Promise.resolve(system.kill(initOf(cgroup), SIG.STOP)),
    thaw: (cgroup) => system.kill(initOf(cgroup), SIG.CONT),
    watchOom: () => null,
    metrics: () => ({ pids: { current: 2n, limit: 7n } }),
  },
  observer: new ContainerEvents(system, events),
});
function initOf(cgroup: string): Pid {
  return Number(cgroup.split("/").at(-1)) as Pid;
}

const server = new TtrpcServer([
  taskService({
    containers,
    checkpoints,
    bundleFor,
    // The machine is the host, which no test may change.
    machine: { ownDisks: () => [], setOnline: () => {} },
    version: "test",
  }),
  checkpointService(checkpoints),
  implement(guest.System, { events: (_request, { signal }) => events.subscribe(signal) }),
].map((service) => hideOwnFailures(service, () => {})));

function bundleFor({ bundle }: taskV3.CreateTaskRequest): ContainerBundle {
  if (!bundle.startsWith(directory)) {
    throw new RpcError(Code.FailedPrecondition, `no bundle at "${bundle}"`);
  }
  return { path: bundle, [Symbol.asyncDispose]: () => Promise.resolve() };
}

const rpc = new FdListener(system.listenUnix(`${directory}/rpc`));
const byteStreams = new FdListener(system.listenUnix(`${directory}/streams`));
console.log("listening");

async function accept(): Promise<never> {
  for (;;) server.serve(await rpc.accept());
}
async function acceptStreams(): Promise<never> {
  for (;;) streams.serve(await byteStreams.accept()).catch((error) => console.error(String(error)));
}
await Promise.race([accept(), acceptStreams()]);
