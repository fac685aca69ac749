import { FdStream, O, type System } from "../../ffi/mod.ts";
import { GuestSecret, SECRET_DIGITS } from "../../proto/mod.ts";

/** The secret of this guest's shim, on its way over the console. */
export interface ComingSecret {
  /**
   * Reads it, and closes the console's input. Called once.
   *
   * @throws {TypeError} if something else was written to the console.
   */
  receive(): Promise<GuestSecret>;
}

/**
 * Makes the console ready for the secret, which the host writes when it sees the ready line: input
 * is neither changed nor echoed, for an echo would be in the host's log of the console.
 *
 * @throws {SystemError} if the console is not a terminal.
 */
export function awaitSecret(system: System, path: string = "/dev/console"): ComingSecret {
  const fd = system.open(path, O.RDONLY | O.NOCTTY | O.NONBLOCK | O.CLOEXEC);
  const input = new FdStream(fd, { system });
  try {
    system.makeRaw(fd);
  } catch (error) {
    input.close();
    throw error;
  }
  return {
    receive: async () => {
      using _input = input;
      const digits = new Uint8Array(SECRET_DIGITS);
      for (let filled = 0; filled < digits.length;) {
        const count = await input.read(digits.subarray(filled));
        if (count === null) {
          throw new TypeError(`console ended after ${filled} bytes of the secret`);
        }
        filled += count;
      }
      return GuestSecret.fromDigits(digits);
    },
  };
}
