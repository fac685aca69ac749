import { descriptorCalls } from "./calls/descriptors.ts";
import { diskCalls } from "./calls/disks.ts";
import { epollCalls } from "./calls/epoll.ts";
import { machineCalls } from "./calls/machine.ts";
import { memoryCalls } from "./calls/memory.ts";
import { mountCalls } from "./calls/mounts.ts";
import { networkCalls } from "./calls/network.ts";
import { processCalls } from "./calls/processes.ts";
import { socketCalls } from "./calls/sockets.ts";
import { terminalCalls } from "./calls/terminals.ts";
import type { System } from "./system.ts";

/** The real system. Looks up each libc function on its first use. */
export const system: System = {
  ...descriptorCalls,
  ...epollCalls,
  ...socketCalls,
  ...mountCalls,
  ...diskCalls,
  ...networkCalls,
  ...processCalls,
  ...machineCalls,
  ...terminalCalls,
  ...memoryCalls,
};
