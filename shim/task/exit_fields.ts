import { type Timestamp, timestampFromDate } from "../../proto/mod.ts";
import type { Exit } from "../guest_client/exit.ts";

/** The exit of a process, as several answers have it. */
export interface ExitFields {
  readonly exitStatus: number;
  readonly exitedAt: Timestamp;
}

export function exitFields(exit: Exit): ExitFields {
  return { exitStatus: exit.status, exitedAt: timestampFromDate(exit.at) };
}
