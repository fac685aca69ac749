import { implement, type ServiceBinding, taskV2, taskV3 } from "../proto/mod.ts";
import { toRpcError } from "./errors.ts";
import type { Logger } from "./log.ts";
import type { TaskService } from "./task_service.ts";

/**
 * The task service as containerd.task.v2 and v3, which differ in nothing but their names here.
 * Methods that are missing answer Unimplemented.
 */
export function taskBindings(service: TaskService, log: Logger): ServiceBinding[] {
  const methods = {
    create: guarded("create", log, (request: taskV3.CreateTaskRequest) => service.create(request)),
    start: guarded("start", log, (request: taskV3.StartRequest) => service.start(request)),
    state: guarded("state", log, (request: taskV3.StateRequest) => service.state(request)),
    pids: guarded("pids", log, (request: taskV3.PidsRequest) => service.pids(request)),
    kill: guarded("kill", log, async (request: taskV3.KillRequest) => {
      await service.kill(request);
      return {};
    }),
    wait: guarded("wait", log, (request: taskV3.WaitRequest) => service.wait(request)),
    closeIO: guarded("closeIO", log, (request: taskV3.CloseIORequest) => {
      service.closeIO(request);
      return {};
    }),
    delete: guarded("delete", log, (request: taskV3.DeleteRequest) => service.delete(request)),
    connect: guarded("connect", log, (request: taskV3.ConnectRequest) => service.connect(request)),
    shutdown: guarded("shutdown", log, async (_: taskV3.ShutdownRequest) => {
      await service.shutdown();
      return {};
    }),
  };
  return [implement(taskV3.Task, methods), implement(taskV2.Task, methods as never)];
}

/** Turns whatever a method throws into an RPC status, and logs it. */
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
