/** Boots a VM, prints its processes, and waits to be killed. */
import { MARKER, TestHost } from "./guest.ts";

const host = new TestHost();
const vm = await host.boot(host.plan(`echo ${MARKER}\nsleep 600\n`));
console.log(JSON.stringify({ folder: host.folder, pids: vm.processes.map(({ pid }) => pid) }));
await vm.exited;
