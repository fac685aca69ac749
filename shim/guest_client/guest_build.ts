import { BUILD, quoted, VERSION } from "../../base/mod.ts";
import { RefusedError } from "../base/refused_error.ts";

/** BUILD of a program that runs from source, as tests do. */
const SOURCE_BUILD = `${VERSION} (source)`;

/**
 * Refuses a guest whose vminitd comes from another build than this shim: the calls between the two
 * have no versions of their own. A shim that runs from source takes every guest, as its tests boot
 * a root image that was built.
 *
 * @param guestBuild as the guest reports it, so anything.
 * @throws {RefusedError} `host`, naming both builds.
 */
export function checkGuestBuild(guestBuild: string, shimBuild: string = BUILD): void {
  if (guestBuild === shimBuild || shimBuild === SOURCE_BUILD) return;
  throw new RefusedError(
    "host",
    "root image",
    `has vminitd ${described(guestBuild)}, the shim is ${shimBuild}`,
    "install root image and shim of one build (deno task build makes both)",
  );
}

/** A build as builds look, or whatever else the guest reports, quoted. */
function described(build: string): string {
  return /^[\w.]+ \([\w ]+\)$/.test(build) && build.length <= 100 ? build : quoted(build);
}
