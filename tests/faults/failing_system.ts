import { recording, type System, system, SystemError } from "../../ffi/mod.ts";

/** The calls that acquire something which has to be released. */
const ACQUIRING = [
  "mount",
  "restrictMounts",
  "open",
  "pipe",
  "listenUnix",
  "connectUnix",
  "socketPair",
  "duplicate",
  "memfd",
  "pidfdOpen",
  "spawn",
] as const satisfies readonly (keyof System)[];

/** A log that nobody reads. */
export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A system in which one call fails. */
export interface FailingSystem {
  readonly seam: System;
  /** The call that failed; null: there were not that many. */
  failed(): string | null;
  /** From now on nothing fails. */
  disarm(): void;
}

/** The real system, in which acquiring call number `failAt` fails with EIO. */
export function failing(failAt: number): FailingSystem {
  let failed: string | null = null;
  let armed = true;
  const error = (call: { name: string }) => {
    failed = call.name;
    return new SystemError(call.name, "EIO");
  };
  const calls = Object.fromEntries(
    ACQUIRING.map((call) => [call, system[call].bind(system) as (...args: never[]) => unknown]),
  );
  const { double } = recording(calls, { failAt, error });
  const seam = new Proxy(system, {
    get: (target, property) =>
      armed && property in calls
        ? Reflect.get(double, property)
        : Reflect.get(target, property, target),
  });
  return { seam, failed: () => failed, disarm: () => void (armed = false) };
}

/** The messages of an error, and of what it stands for. */
export function chain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const nested = error instanceof SuppressedError ? [error.error, error.suppressed] : [error.cause];
  return [error.message, ...nested.map((one) => one === undefined ? "" : chain(one))].join(": ");
}
