import { identifier } from "./cli.ts";
import { readSpec } from "../plan/oci.ts";
import { CONTAINER_TYPE, podRoleOf } from "../plan/pod_role.ts";

/**
 * The id of the sandbox that the container of a bundle comes into; null: it has one of its own. Most
 * specifications need not be parsed for that.
 *
 * @throws Error naming the annotation that says what cannot be.
 */
export function sandboxOf(bundle: string): string | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${bundle}/config.json`);
  } catch {
    return null; // Create says what is wrong with it.
  }
  if (!text.includes(CONTAINER_TYPE)) return null;
  const role = podRoleOf(readSpec(bundle).annotations ?? {});
  return role.kind === "container" ? identifier("sandbox-id", role.sandboxId) : null;
}
