import { messageOf } from "../../base/mod.ts";
import { system } from "../../ffi/mod.ts";
import { create, taskV3, timestampFromDate, toBinary } from "../../proto/mod.ts";
import { KILLED_STATUS } from "../guest_client/exit.ts";
import type { Flags } from "./cli.ts";
import { type Config, ConfigError, loadConfig, resolveConfig } from "../config/config.ts";
import { firstFacts, type LeaseFacts, readLease } from "../lease/lease.ts";
import { assertOwnDirectory } from "../base/own_directory.ts";
import {
  CID_INTENT,
  type SandboxPaths,
  sandboxPaths,
  socketPath,
  USER_INTENT,
} from "../base/names.ts";
import { sandboxOf } from "./sandbox_of.ts";
import { undoLease } from "../cleanup/undo.ts";
import { networkFacts } from "../lease/network_facts.ts";

/**
 * `delete`, for a shim that containerd lost: kills and removes the rest of the sandbox, and answers
 * as the shim would have. Succeeds if there is nothing to do: containerd also calls it for shims
 * that never came up, and for each container of a pod, of which one removes the sandbox.
 *
 * @throws {RefusedError} if others can change the run directory, and with it what is undone.
 */
export async function deleteSandbox(flags: Flags): Promise<void> {
  const settings = config();
  assertOwnDirectory("run_dir", settings.runDir);
  const sandboxId = podOf(flags);
  const name = { namespace: flags.namespace, id: sandboxId ?? flags.id };
  const paths = sandboxPaths(settings, name);
  const lease = readLease(paths.lease);
  const facts = lease ?? (sandboxId === null ? factsByName(paths, flags, settings) : null);
  if (facts !== null && !isKeptForAnother(facts, flags)) {
    for (const failure of await undoLease(system, facts, paths.lease)) {
      console.error(`qemubox: ${name.namespace}/${name.id}: ${failure.message}`);
    }
  }
  const response = create(taskV3.DeleteResponseSchema, {
    pid: facts?.processes.find(({ role }) => role === "qemu")?.pid ?? 0,
    exitStatus: KILLED_STATUS,
    exitedAt: timestampFromDate(new Date()),
  });
  Deno.stdout.writeSync(toBinary(taskV3.DeleteResponseSchema, response));
}

/** Returns the sandbox id of a pod container, or null if it is unknown. */
function podOf({ bundle, namespace, id }: Flags): string | null {
  try {
    return sandboxOf(bundle);
  } catch (error) {
    console.error(`qemubox: ${namespace}/${id}: ${messageOf(error)}`);
    return null;
  }
}

/** Returns whether the sandbox is kept for another container, whose bundle containerd still has. */
function isKeptForAnother({ bundle }: LeaseFacts, flags: Flags): boolean {
  try {
    return flags.bundle !== "" && Deno.realPathSync(bundle) !== Deno.realPathSync(flags.bundle);
  } catch {
    return false;
  }
}

/** Loads the configuration. One that was broken later must not prevent the removal. */
function config(): Config {
  try {
    return loadConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`qemubox: ${error.message}; using the defaults`);
    return withoutFile(Deno.env.toObject()) ?? withoutFile({})!;
  }
}

function withoutFile(environment: Record<string, string>): Config | null {
  try {
    return resolveConfig({ file: null, environment, annotations: {} });
  } catch {
    return null;
  }
}

/**
 * Returns the facts of a sandbox without a valid lease, because `start` was killed while it wrote
 * it: the sandbox's resources are found by its name.
 */
function factsByName(paths: SandboxPaths, flags: Flags, config: Config): LeaseFacts {
  const facts = { bundle: flags.bundle, socketPath: socketPath(flags, flags.address) };
  return {
    ...firstFacts(paths, flags, facts),
    intents: [CID_INTENT, USER_INTENT],
    network: networkFacts(config, paths, flags),
  };
}
