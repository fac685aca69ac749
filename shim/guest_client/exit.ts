/** Exit of a process. */
export interface Exit {
  /** Exit code, or 128 plus the signal's number. */
  readonly status: number;
  readonly at: Date;
}

/** Exit status of a task whose exit was not seen, as if SIGKILL had ended it. */
export const KILLED_STATUS = 137;
