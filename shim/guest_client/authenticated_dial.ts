import { withDeadline } from "../../base/mod.ts";
import { answerChallenge, type GuestSecret } from "../../proto/mod.ts";
import type { DialGuest } from "./guest_connection.ts";
import { GuestError, refusedByGuest } from "./guest_error.ts";

/** Timeout of the guest's challenge. It comes before the guest does anything else. Milliseconds. */
const CHALLENGE_TIMEOUT_MS = 30_000;

/**
 * Returns a dial that proves to the guest that this is its shim.
 *
 * @param dial connects without.
 */
export function authenticatedDial(
  dial: DialGuest,
  secret: GuestSecret,
  timeoutMs: number = CHALLENGE_TIMEOUT_MS,
): DialGuest {
  return async (port, { signal }) => {
    const stream = await dial(port, { signal });
    const onTimeout = () => GuestError.unanswered(`a connection to port ${port}`, timeoutMs);
    try {
      await withDeadline({ timeoutMs, signal, onTimeout }, (signal) => {
        return answerChallenge(stream, port, secret, { signal });
      });
      return stream;
    } catch (error) {
      stream.close();
      throw refusedByGuest(error);
    }
  };
}
