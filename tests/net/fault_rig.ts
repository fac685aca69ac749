/**
 * Joins the network of examples/cni/default again and again in this process, and fails one system
 * call that acquires something each time, until a join needs fewer. After each, what is left of the
 * network and this process's descriptors are compared with what they were before. Writes one line a
 * failure; ends with 1 when something is left.
 */
import assert from "node:assert/strict";
import { recording, type System, system, SystemError } from "../../ffi/mod.ts";
import { assertNothingLeft, snapshot } from "../lib/system_state.ts";
import { joinNetworks, networkState, stateIs } from "./network_testbed.ts";

/**
 * Not setns: when the way back fails, the thread is in another namespace, and only its end helps.
 */
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
  // What undoes it may fail as well: then a row stays, and it is tried again later.
  const error = await join(seam, () => armed = false);
  await stateIs(before);
  await assertNothingLeft(descriptors);
  if (failed === null) {
    assert.equal(error, null);
    Deno.exit(0);
  }
  assert(error !== null, `joining did not notice that ${failed} failed`);
  console.log(`call ${failAt} ${failed}: nothing is left`);
}
assert.fail(`joining makes more than ${CALLS_MAX} acquiring calls`);
