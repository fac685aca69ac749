/** What the guest answers, checked as if it came from the internet, for containerd. @module */
import {
  type Any,
  cgroups,
  Code,
  create,
  fromBinary,
  packAny,
  RpcError,
  runcOptions,
  type taskTypes,
  toBinary,
  unpackAny,
} from "../../proto/mod.ts";

/** Linux has no more (PID_MAX_LIMIT of include/linux/threads.h is 4 Mi, its default 32 Ki). */
const PIDS_MAX = 32_768;
const STATS_BYTES_MAX = 256 * 1024;

/** A process of a container, as containerd lists it. */
export interface ListedProcess {
  readonly pid: number;
  readonly info?: Any;
}

/**
 * The processes of a container, those of execs with the exec's id.
 * @param isExec whether the container has such an exec; what the guest makes up is left out.
 * @throws RpcError Internal for more than there can be.
 */
export function checkedProcesses(
  processes: readonly taskTypes.ProcessInfo[],
  isExec: (execId: string) => boolean,
): ListedProcess[] {
  if (processes.length > PIDS_MAX) {
    throw new RpcError(Code.Internal, `guest lists ${processes.length} processes`);
  }
  return processes.map(({ pid, info }) => {
    const execId = info === undefined ? "" : execIdOf(info);
    if (execId === "" || !isExec(execId)) return { pid };
    return { pid, info: packAny(runcOptions.ProcessDetailsSchema, { execId }) };
  });
}

function execIdOf(info: Any): string {
  try {
    return unpackAny(runcOptions.ProcessDetailsSchema, info).execId;
  } catch {
    return "";
  }
}

/**
 * The metrics of a container: of the known type, and with its known fields alone.
 * @throws RpcError Internal for anything else.
 */
export function checkedStats(stats: Any | undefined): Any {
  const schema = cgroups.MetricsSchema;
  if (stats === undefined || stats.value.length > STATS_BYTES_MAX) {
    throw new RpcError(Code.Internal, `guest gave ${stats?.value.length ?? "no"} bytes of metrics`);
  }
  try {
    const known = toBinary(schema, unpackAny(schema, stats));
    return packAny(schema, create(schema, fromBinary(schema, known)));
  } catch (error) {
    throw new RpcError(Code.Internal, `guest's metrics: ${(error as Error).message}`);
  }
}
