/** The part of CRIU's log that belongs in an error. @module */
import { ifPresent } from "../../base/mod.ts";

/** Limit of a read of a log, from its end. */
const LOG_BYTES_MAX = 262_144;
/** The first error is the cause, the others follow from it. */
const ERRORS_MAX = 3;
const ERROR_CHARACTERS_MAX = 300;

// "(00.012345)      1: Error (criu/files-reg.c:1234): File bin/x has bad size"
const ERROR = /^\([0-9.]+\)\s+(?:[0-9]+: )?Error \((.*)$/gm;

/** Returns the first errors in a log, on one line; "" if there is none. */
export function criuErrors(log: string): string {
  return [...log.matchAll(ERROR)]
    .slice(0, ERRORS_MAX)
    .map(([, text]) => `(${text as string}`.slice(0, ERROR_CHARACTERS_MAX))
    .join("; ");
}

/** Returns the end of the log at `path`; "" if it does not exist. */
export function readCriuLog(path: string): string {
  return ifPresent(() => {
    using file = Deno.openSync(path);
    file.seekSync(Math.max(0, file.statSync().size - LOG_BYTES_MAX), Deno.SeekMode.Start);
    const buffer = new Uint8Array(LOG_BYTES_MAX);
    return new TextDecoder().decode(buffer.subarray(0, file.readSync(buffer) ?? 0));
  }) ?? "";
}
