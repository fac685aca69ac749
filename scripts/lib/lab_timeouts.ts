/**
 * Timeouts for the configuration of every containerd in the lab. By default containerd gives a
 * shim's `delete` 5 s and the state of a task 2 s. An emulated machine takes longer, and a call
 * that is cut off leaks something.
 */
export const LAB_TIMEOUTS = `
[timeouts]
  "io.containerd.timeout.shim.cleanup" = "2m"
  "io.containerd.timeout.shim.load" = "2m"
  "io.containerd.timeout.shim.shutdown" = "2m"
  "io.containerd.timeout.task.state" = "2m"
`;
