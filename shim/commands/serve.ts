import { endsWithin, removeIfPresent } from "../../base/mod.ts";
import {
  FdListener,
  openNamespace,
  processStartTime,
  strayObservers,
  type System,
  system,
  withNamespace,
} from "../../ffi/mod.ts";
import { TtrpcServer } from "../../proto/mod.ts";
import { type Logger, openLog } from "../base/log.ts";
import { sandboxPaths } from "../base/names.ts";
import type { OnHost } from "../base/on_host.ts";
import { Timeline } from "../base/timeline.ts";
import { loadConfig } from "../config/config.ts";
import { Lease } from "../lease/lease.ts";
import { leaveHostCgroup, removeHostCgroup } from "../sandbox/host_cgroup.ts";
import { SandboxMaker } from "../sandbox/sandbox_maker.ts";
import { enterMountNamespace } from "../storage/shared_directory.ts";
import { EventPublisher } from "../task/event_publisher.ts";
import { taskBindings } from "../task/task_bindings.ts";
import { TaskEvents } from "../task/task_events.ts";
import { TaskService } from "../task/task_service.ts";
import type { Flags } from "./cli.ts";
import { ShimLife } from "./shim_life.ts";
import { LISTENER_FD } from "./start.ts";

/** How long an exiting shim waits for containerd to take its last events. */
const EVENTS_FLUSH_MS = 2_000;
/** How long it waits for clients to close their connections after the last answer. */
const HANG_UP_MS = 1_000;

/**
 * `serve`: the long-lived shim of one sandbox. Answers on the socket that `start` bound, until
 * containerd shuts it down or a signal ends it. Everything that it made is gone then.
 */
export async function serveShim(flags: Flags): Promise<void> {
  const servedAt = performance.now();
  const onHost = enterOwnMounts();
  const config = loadConfig();
  const paths = sandboxPaths(config, flags);
  const lease = Lease.open(paths.lease);
  lease.record("shim", { shim: ownProcess(system) });
  const log = openLog(flags, config.logDir, Deno.cwd(), flags.debug);
  strayObservers.add((what) => log.warn(what));
  const publisher = new EventPublisher(Deno.env.get("TTRPC_ADDRESS") ?? "", flags.namespace, log);
  const timeline = new Timeline((line) => log.info(line));
  timeline.mark("start");
  log.debug("serving", { ms: Math.round(performance.now() - servedAt) });

  const context = { system, config, paths, name: flags, lease, timeline, log, onHost };
  const life = new ShimLife(context);
  const service = new TaskService({
    events: new TaskEvents(publisher, log),
    log,
    sandboxes: new SandboxMaker({ ...context, signal: life.toldToExit }),
    shim: life,
    drainTimeoutMs: config.drainTimeoutMs,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
    killTimeoutMs: config.killTimeoutMs,
    guestTimeoutMs: config.guestTimeoutMs,
    shimPid: Deno.pid,
  });
  life.exitOnSignals(service);

  const listener = new FdListener(LISTENER_FD);
  const connections = serveConnections(listener, service, log);
  await life.over();
  // As long as the socket answers, no other shim starts for this id. When it is gone, nothing of
  // this one may be left that a successor would find in the same place. If something could not be
  // undone, `delete` and the next start learn from the lease what there is to remove.
  if (service.isClean && await leftHostCgroup(lease, log)) lease.release();
  removeIfPresent(lease.facts.socketPath);
  listener.close();
  await publisher.close(EVENTS_FLUSH_MS);
  await endsWithin(connections, HANG_UP_MS);
}

/** Moves this process into a mount namespace of its own. Returns how to work in the host's. */
function enterOwnMounts(): OnHost {
  const hostMounts = openNamespace(system, "mnt");
  enterMountNamespace(system);
  return (work) => withNamespace(system, "mnt", hostMounts, work as () => never);
}

/** Serves every connection. Resolves when the listener and all connections are closed. */
async function serveConnections(
  listener: FdListener,
  service: TaskService,
  log: Logger,
): Promise<void> {
  const server = new TtrpcServer(taskBindings(service, log), {
    onError: (error, where) => log.error(`${where}: ${(error as Error).message}`),
  });
  const open = new Set<Promise<void>>();
  try {
    for (;;) {
      const connection = server.serve(await listener.accept());
      open.add(connection);
      void connection.finally(() => open.delete(connection));
    }
  } catch (error) {
    log.debug(`no longer accepting connections: ${(error as Error).message}`);
  }
  await Promise.all(open);
}

/** Leaves and removes the sandbox's cgroup on the host. Returns whether nothing of it is left. */
async function leftHostCgroup({ facts }: Lease, log: Logger): Promise<boolean> {
  try {
    leaveHostCgroup(facts, Deno.pid);
    await removeHostCgroup(facts);
    return true;
  } catch (error) {
    log.error(`host cgroup: ${(error as Error).message}`);
    return false;
  }
}

function ownProcess(system: System) {
  const pid = system.getpid();
  return { role: "shim", pid, startTime: processStartTime(pid) ?? "" };
}
