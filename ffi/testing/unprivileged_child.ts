/**
 * Program for machine_test.ts, run in a user namespace of its own, where the kernel refuses calls
 * that concern the whole machine. Argument: the user namespace of its parent.
 */
import assert from "node:assert/strict";
import { isSystemError, system } from "../mod.ts";

const refused = (code: string, call: () => unknown): void =>
  assert.throws(call, (error) => isSystemError(error, code));

// In the parent's namespace the calls below could succeed.
assert.notEqual(Deno.readLinkSync("/proc/self/ns/user"), Deno.args[0]);

// The kernel checks the time before the privilege, so EINVAL shows that the time arrives.
refused("EINVAL", () => system.setClock(-1n));
refused("EPERM", () => system.setClock(system.clock("realtime")));
refused("EPERM", () => system.setHostname("qemubox-test"));
refused("EPERM", () => system.mount("tmpfs", "/mnt", "tmpfs", 0));
refused("EPERM", () => system.pivotRoot("/", "/"));
