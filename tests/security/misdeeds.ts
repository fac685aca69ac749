/** What the hostile guest does when an exec process of this id is made. @module */

export const MISDEEDS = {
  /**
   * With "-SECONDS" behind it: sends events of all topics, and answers to calls that nobody made,
   * as fast as they are taken.
   */
  flood: "hostile-flood",
  /** Begins an answer of a gigabyte. */
  oversized: "hostile-oversized",
  /** Refuses the streams of each process whose id begins so, with a reason of control codes. */
  refused: "hostile-refused",
  /** Takes the connections of this process's streams, and does not answer on them. */
  stalled: "hostile-stalled",
  /** Reports no exit from the exit of this process on. */
  noExits: "hostile-no-exits",
} as const;
