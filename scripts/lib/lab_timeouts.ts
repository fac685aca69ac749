/**
 * containerd gives a shim's `delete` 5 s, and a task's state 2 s; an emulated machine takes longer,
 * and who is cut off there leaves something behind. For the configuration of every containerd in
 * the lab.
 */
export const LAB_TIMEOUTS = `
[timeouts]
  "io.containerd.timeout.shim.cleanup" = "2m"
  "io.containerd.timeout.shim.load" = "2m"
  "io.containerd.timeout.shim.shutdown" = "2m"
  "io.containerd.timeout.task.state" = "2m"
`;
