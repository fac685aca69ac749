/** Answers of the guest, checked as if they came from the internet. @module */
import { messageOf } from "../../base/mod.ts";
import {
  type Any,
  cgroups,
  create,
  fromBinary,
  packAny,
  runcOptions,
  type taskTypes,
  toBinary,
  unpackAny,
} from "../../proto/mod.ts";
import { GuestError } from "./guest_error.ts";

/** PID_MAX_DEFAULT of include/linux/threads.h, whose PID_MAX_LIMIT is 4 Mi. */
const PIDS_MAX = 32_768;
const STATS_BYTES_MAX = 256 * 1024;

/** A process of a container, as containerd lists it. */
export interface ListedProcess {
  readonly pid: number;
  readonly info?: Any;
}

/**
 * Returns the processes of a container, exec processes with their exec id.
 *
 * @param isExec whether the container has an exec process of this id. Others are listed without it.
 * @throws {GuestError} `hostile` if there are more than a kernel has.
 */
export function checkedProcesses(
  processes: readonly taskTypes.ProcessInfo[],
  isExec: (execId: string) => boolean,
): ListedProcess[] {
  if (processes.length > PIDS_MAX) {
    throw GuestError.hostile(`guest listed ${processes.length} processes, more than ${PIDS_MAX}`);
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
 * Returns the metrics of a container, reduced to the fields of their type.
 *
 * @throws {GuestError} `hostile` if they are absent, too large, or of another type.
 */
export function checkedStats(stats: Any | undefined): Any {
  const schema = cgroups.MetricsSchema;
  if (stats === undefined) throw GuestError.hostile("guest sent no metrics");
  if (stats.value.length > STATS_BYTES_MAX) {
    throw GuestError.hostile(
      `guest sent ${stats.value.length} bytes of metrics, more than ${STATS_BYTES_MAX}`,
    );
  }
  try {
    const known = toBinary(schema, unpackAny(schema, stats));
    return packAny(schema, create(schema, fromBinary(schema, known)));
  } catch (error) {
    throw GuestError.hostile(`guest sent malformed metrics: ${messageOf(error)}`, error);
  }
}
