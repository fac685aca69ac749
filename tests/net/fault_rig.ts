/**
 * Joins the network of examples/cni/default again and again in this process, and each time fails
 * the next system call that acquires something, until a join needs fewer calls. After each failure,
 * the network's state and this process's descriptors must be as before. Prints a line per failure;
 * exits with 1 when something is left.
 */
import assert from "node:assert/strict";
import { recording, type System, system, SystemError } from "../../ffi/mod.ts";
import { assertNothingLeft, snapshot } from "../lib/system_state.ts";
import { joinNetworks, networkState, stateIs } from "./network_testbed.ts";

/** setns is missing: if the way back fails, the thread stays in a wrong namespace and must end. */
const ACQUIRING = [
  "mount",
  "open",
  "openTap",
  "openRtnetlink",
  "memfd",
  "spawn",
  "pidfdOpen",
  "unshare",
] as const satisfies readonly (keyof System)[];
const CALLS_MAX = 100;

async function join(seam: System, onConnected = () => {}): Promise<Error | null> {
  try {
    const joined = await joinNetworks("rig", "qemubox-net", { system: seam });
    try {
      await joined.connect();
      onConnected();
    } finally {
      await joined[Symbol.asyncDispose]();
    }
    return null;
  } catch (error) {
    return error as Error;
  }
}

assert.equal(await join(system), null);
for (let failAt = 0; failAt < CALLS_MAX; failAt++) {
  let failed: string | null = null;
  let armed = true;
  const calls = Object.fromEntries(
    ACQUIRING.map((call) => [call, system[call].bind(system) as (...args: never[]) => unknown]),
  );
  const { double } = recording(calls, {
    failAt,
    error: ({ name }) => {
      failed = name;
      return new SystemError(name, "EIO");
    },
  });
  const seam = new Proxy(system, {
    get: (target, property) => Reflect.get(armed && property in calls ? double : target, property),
  });
  const before = networkState();
  const descriptors = await snapshot({ kinds: ["descriptor"] });
  // Clean-up may fail as well: then a row stays, and the clean-up is retried later.
  const error = await join(seam, () => armed = false);
  await stateIs(before);
  await assertNothingLeft(descriptors);
  if (failed === null) {
    assert.equal(error, null);
    Deno.exit(0);
  }
  assert(error !== null, `joining ignored the failure of ${failed}`);
  console.log(`call ${failAt} ${failed}: nothing is left`);
}
assert.fail(`joining makes more than ${CALLS_MAX} acquiring calls`);
