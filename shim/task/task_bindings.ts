import { implement, type ServiceBinding, taskV2, taskV3 } from "../../proto/mod.ts";
import { toRpcError } from "./errors.ts";
import type { Logger } from "../base/log.ts";
import type { TaskService } from "./task_service.ts";

/** Binds the task service as containerd.task.v2 and v3, which differ only in their names here. */
export function taskBindings(service: TaskService, log: Logger): ServiceBinding[] {
  const { controls } = service;
  /** Binds a method whose answer is empty. */
  const silent = <Request>(name: string, method: (request: Request) => unknown) =>
    guarded(name, log, async (request: Request) => {
      await method(request);
      return {};
    });
  const methods = {
    create: guarded("create", log, (request: taskV3.CreateTaskRequest) => service.create(request)),
    start: guarded("start", log, (request: taskV3.StartRequest) => service.start(request)),
    state: guarded("state", log, (request: taskV3.StateRequest) => service.state(request)),
    wait: guarded("wait", log, (request: taskV3.WaitRequest) => service.wait(request)),
    exec: silent("exec", (request: taskV3.ExecProcessRequest) => service.exec(request)),
    delete: guarded("delete", log, (request: taskV3.DeleteRequest) => service.delete(request)),
    connect: guarded("connect", log, (request: taskV3.ConnectRequest) => service.connect(request)),
    shutdown: silent("shutdown", (_: taskV3.ShutdownRequest) => service.shutdown()),
    kill: silent("kill", (request: taskV3.KillRequest) => controls.kill(request)),
    pause: silent("pause", (request: taskV3.PauseRequest) => controls.pause(request)),
    resume: silent("resume", (request: taskV3.ResumeRequest) => controls.resume(request)),
    pids: guarded("pids", log, (request: taskV3.PidsRequest) => controls.pids(request)),
    stats: guarded("stats", log, (request: taskV3.StatsRequest) => controls.stats(request)),
    update: silent("update", (request: taskV3.UpdateTaskRequest) => controls.update(request)),
    resizePty: silent(
      "resizePty",
      (request: taskV3.ResizePtyRequest) => controls.resizePty(request),
    ),
    closeIO: silent("closeIO", (request: taskV3.CloseIORequest) => controls.closeIO(request)),
    checkpoint: silent(
      "checkpoint",
      (request: taskV3.CheckpointTaskRequest) => controls.checkpoint(request),
    ),
  };
  return [implement(taskV3.Task, methods), implement(taskV2.Task, methods as never)];
}

/** Turns everything that a method throws into an RPC status, and logs it. */
function guarded<Request, Response>(
  name: string,
  log: Logger,
  method: (request: Request) => Response | Promise<Response>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    try {
      return await method(request);
    } catch (error) {
      const status = toRpcError(error);
      log.debug(`${name}: ${status.message}`);
      throw status;
    }
  };
}
