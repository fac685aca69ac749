/**
 * Run by machine_test.ts in a user namespace of its own, where the kernel refuses what concerns the
 * whole machine. Argument: the user namespace of who started it.
 */
import assert from "node:assert/strict";
import { isSystemError, system } from "../mod.ts";

const refused = (code: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code));

// Without this, what follows could do what it says.
assert.notEqual(Deno.readLinkSync("/proc/self/ns/user"), Deno.args[0]);

// The kernel looks at the time before it looks at who asks: that tells that it arrives.
refused("EINVAL", () => system.setClock(-1n));
refused("EPERM", () => system.setClock(system.clock("realtime")));
refused("EPERM", () => system.setHostname("qemubox-test"));
refused("EPERM", () => system.mount("tmpfs", "/mnt", "tmpfs", 0));
refused("EPERM", () => system.pivotRoot("/", "/"));
