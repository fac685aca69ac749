import { recording, type System, system, SystemError } from "../../ffi/mod.ts";

/** System calls that acquire something that has to be released. */
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

/** A log that drops everything. */
export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A system with one failing call. */
export interface FailingSystem {
  readonly seam: System;
  /** Returns the call that failed, or null if there were not that many. */
  failed(): string | null;
  /** Lets everything succeed from now on. */
  disarm(): void;
}

/** Returns the real system, except that acquiring call number `failAt` fails with EIO. */
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

/** Returns the messages of an error and of its causes. */
export function chain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const nested = error instanceof SuppressedError ? [error.error, error.suppressed] : [error.cause];
  return [error.message, ...nested.map((one) => one === undefined ? "" : chain(one))].join(": ");
}
