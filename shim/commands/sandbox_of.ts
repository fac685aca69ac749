import { identifier } from "./cli.ts";
import { readSpec } from "../plan/oci.ts";
import { CONTAINER_TYPE, podRoleOf } from "../plan/pod_role.ts";

/**
 * Returns the id of the sandbox that the container of a bundle joins, or null if it gets its own.
 * Does not parse most specifications.
 *
 * @throws {Error} naming an invalid annotation.
 */
export function sandboxOf(bundle: string): string | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${bundle}/config.json`);
  } catch {
    return null; // Create reports the error.
  }
  if (!text.includes(CONTAINER_TYPE)) return null;
  const role = podRoleOf(readSpec(bundle).annotations ?? {});
  return role.kind === "container" ? identifier("sandbox-id", role.sandboxId) : null;
}
