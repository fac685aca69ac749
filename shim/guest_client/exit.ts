/** How a process exited. */
export interface Exit {
  /** Exit code, or 128 plus the signal's number. */
  readonly status: number;
  readonly at: Date;
}

/** Status of a task whose exit nobody saw: as if SIGKILL had ended it. */
export const KILLED_STATUS = 137;
