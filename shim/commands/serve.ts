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
import type { Flags } from "./cli.ts";
import { loadConfig } from "../config/config.ts";
import { specOf } from "../plan/container_plan.ts";
import { planCreate } from "../plan/create_plan.ts";
import { CreateSteps } from "../sandbox/create_steps.ts";
import { EventPublisher } from "../task/event_publisher.ts";
import { openGuestIo } from "../guest_client/guest_io.ts";
import { enterHostCgroup, leaveHostCgroup, removeHostCgroup } from "../sandbox/host_cgroup.ts";
import { releaseMemoryWhenIdle } from "./idle_memory.ts";
import { joinPod } from "../sandbox/join_pod.ts";
import { Lease, removeIfPresent } from "../lease/lease.ts";
import { type Logger, openLog } from "../base/log.ts";
import { planMember } from "../plan/member_plan.ts";
import { sandboxPaths } from "../base/names.ts";
import { collectNetworkGarbage } from "../sandbox/network.ts";
import { reconcile } from "../cleanup/reconcile.ts";
import { Sandbox } from "../sandbox/sandbox.ts";
import { enterMountNamespace } from "../storage/shared_folder.ts";
import { LISTENER_FD } from "./start.ts";
import { TaskEvents } from "../task/task_events.ts";
import { taskBindings } from "../task/task_bindings.ts";
import { TaskService } from "../task/task_service.ts";
import { Timeline } from "../base/timeline.ts";
import type { CreateRequest } from "../plan/create_request.ts";
import { networkFacts } from "../lease/network_facts.ts";
import type { OnHost } from "../base/on_host.ts";

/** How long a shim that ends waits for containerd to take its last events. Milliseconds. */
const EVENTS_FLUSH_MS = 2_000;
/** How long it waits for clients to close their connections after the last answer. Milliseconds. */
const HANG_UP_MS = 1_000;

/**
 * `serve`: the long-lived shim of one sandbox. Answers on the socket that `start` bound, until
 * containerd shuts it down or a signal ends it; then everything it made is gone.
 */
export async function serveShim(flags: Flags): Promise<void> {
  const timelineOrigin = performance.now();
  const hostMounts = openNamespace(system, "mnt");
  enterMountNamespace(system);
  const onHost: OnHost = (work) => withNamespace(system, "mnt", hostMounts, work as () => never);
  const bundle = Deno.cwd();
  const config = loadConfig();
  const paths = sandboxPaths(config, flags);
  const lease = Lease.open(paths.lease);
  lease.record("shim", { shim: ownProcess(system) });
  const log = openLog(flags, config.logDir, bundle, flags.debug);
  strayObservers.add((what) => log.warn(what));
  const publisher = new EventPublisher(Deno.env.get("TTRPC_ADDRESS") ?? "", flags.namespace, log);
  const exit = Promise.withResolvers<void>();
  const ending = new AbortController();
  const ended = new AbortController();
  let garbage = Promise.resolve();
  const timeline = new Timeline((line) => log.info(line));
  timeline.mark("start");
  log.debug(`serving after ${Math.round(performance.now() - timelineOrigin)} ms`);

  const service = new TaskService({
    events: new TaskEvents(publisher),
    log,
    createSandbox: (request) => createSandbox(request),
    joinPod: (request, pod, guest) => {
      const spec = specOf(request.bundle);
      // What they say of the VM was said when it was made; they are checked all the same.
      loadConfig(spec.annotations ?? {});
      const plan = planMember(request, spec, pod, pod.nextFolder());
      for (const line of [...plan.warnings, ...plan.spec.dropped]) {
        log.warn(`${request.id}: ${line}`);
      }
      const { namespace } = flags;
      return joinPod(plan, pod, guest, { log, namespace, signal: ending.signal });
    },
    openIo: (name, guest, refused) => {
      const { namespace } = flags;
      const signal = AbortSignal.any([ending.signal, refused]);
      return openGuestIo(name, guest, { namespace, log, signal });
    },
    onLeft: (left, [other]) => {
      if (lease.facts.bundle === left && other !== undefined) lease.record(null, { bundle: other });
    },
    onStarted: () => {
      timeline.mark("started");
      void healHost();
      releaseMemoryWhenIdle(system);
    },
    onStopped: () => timeline.end(),
    exit: () => exit.resolve(),
    drainTimeoutMs: config.drainTimeoutMs,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
    shimPid: Deno.pid,
  });

  /** What others left behind; the container runs by now. */
  async function healHost() {
    await reconcile(system, config, log, onHost);
    const context = { system, log, onHost, signal: ended.signal };
    garbage = collectNetworkGarbage(networkFacts(config, paths, flags), flags, context);
  }

  async function isOutOfCgroup(): Promise<boolean> {
    try {
      leaveHostCgroup(lease.facts, Deno.pid);
      await removeHostCgroup(lease.facts);
      return true;
    } catch (error) {
      log.error(`host cgroup: ${(error as Error).message}`);
      return false;
    }
  }

  async function createSandbox(request: CreateRequest) {
    const spec = specOf(request.bundle);
    const effective = loadConfig(spec.annotations ?? {});
    const plan = planCreate(request, spec, effective);
    await enterHostCgroup(spec.linux?.cgroupsPath, { lease, log, pid: Deno.pid });
    for (const line of [...plan.warnings, ...plan.spec.dropped]) log.warn(line);
    const steps = new CreateSteps(plan, {
      system,
      paths,
      runDir: config.runDir,
      logDir: config.logDir,
      stateDir: config.stateDir,
      name: flags,
      lease,
      timeline,
      log,
      bootTimeoutMs: effective.bootTimeoutMs,
      signal: ending.signal,
      network: networkFacts(config, paths, flags),
      onHost,
    });
    return { ...await Sandbox.create(steps, log), size: plan.size };
  }

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      log.warn(`${signal}: ending the sandbox`);
      ending.abort(new Error(`the shim was ended by ${signal}`));
      void service.end().finally(() => exit.resolve());
    });
  }

  const listener = new FdListener(LISTENER_FD);
  const server = new TtrpcServer(taskBindings(service, log), {
    onError: (error, where) => log.error(`${where}: ${(error as Error).message}`),
  });
  const connections = accept(listener, server, log);
  await exit.promise;
  // Whoever waits for its lock must not find a plugin that is still at it.
  ended.abort(new Error("the shim ends"));
  await garbage;
  // As long as the socket is there and answers, no other shim is started for this id: when it goes,
  // everything of this one that a successor would find at the same place has to be gone. If not all
  // was undone, `delete` and the next start know from the lease what there is to be removed.
  if (service.isClean && await isOutOfCgroup()) lease.release();
  removeIfPresent(lease.facts.socketPath);
  listener.close();
  await publisher.close(EVENTS_FLUSH_MS);
  await Promise.race([connections, new Promise((resolve) => setTimeout(resolve, HANG_UP_MS))]);
}

/** Serves every connection; resolves when the listener and all connections are closed. */
async function accept(listener: FdListener, server: TtrpcServer, log: Logger): Promise<void> {
  const open = new Set<Promise<void>>();
  try {
    for (;;) {
      const connection = server.serve(await listener.accept());
      open.add(connection);
      void connection.finally(() => open.delete(connection));
    }
  } catch (error) {
    log.debug(`no longer accepting: ${(error as Error).message}`);
  }
  await Promise.all(open);
}

function ownProcess(system: System) {
  const pid = system.getpid();
  return { role: "shim", pid, startTime: processStartTime(pid) ?? "" };
}
