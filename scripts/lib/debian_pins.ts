/**
 * The Debian packages that qemubox was built and measured with, by version and SHA-256:
 * debian_lock.json, which scripts/lock_debian.ts writes. The suite moves on, so a mirror that has
 * another version is reported and not an error. The same version with other bytes is one.
 */

/** A package as it was installed. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Of the .deb, in hexadecimal. */
  readonly sha256: string;
}

/** Package → "VERSION SHA256". */
export type Pins = Readonly<Record<string, string>>;

const LOCK = new URL("debian_lock.json", import.meta.url);
/** Written into each root by record_packages.sh. */
const RECORD = "/var/lib/qemubox-packages";

/** Returns the pins of the root `name`; none if the lock file does not have it yet. */
export function pinsOf(name: string): Pins {
  return readLock()[name] ?? {};
}

/** Returns root name → pins. */
export function readLock(): Record<string, Pins> {
  return JSON.parse(Deno.readTextFileSync(LOCK));
}

/** Replaces the lock file. */
export function writeLock(lock: Readonly<Record<string, Pins>>): void {
  Deno.writeTextFileSync(LOCK, JSON.stringify(lock, null, 2) + "\n");
}

/** Returns the packages that were installed when the root at `directory` was made. */
export function packagesIn(directory: string): DebianPackage[] {
  return parsePackages(packageRecord(directory));
}

/** Returns the text that {@link packagesIn} reads, for keys of the cache. */
export function packageRecord(directory: string): string {
  return Deno.readTextFileSync(directory + RECORD);
}

/** Reads the lines of record_packages.sh. @throws {Error} for a line that is none of its own */
export function parsePackages(text: string): DebianPackage[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const match = /^(\S+) (\S+) ([0-9a-f]{64})$/.exec(line);
    if (match === null) throw new Error(`package list has an invalid line ${JSON.stringify(line)}`);
    return { name: match[1]!, version: match[2]!, sha256: match[3]! };
  });
}

/** Returns the pins of exactly these packages. */
export function pinsFor(packages: readonly DebianPackage[]): Pins {
  return Object.fromEntries(
    packages.map(({ name, version, sha256 }) => [name, `${version} ${sha256}`]),
  );
}

/**
 * Returns one line for each package that is not the pinned one.
 *
 * @throws {Error} if a package has the pinned version and other bytes
 */
export function differences(pins: Pins, installed: readonly DebianPackage[]): string[] {
  const present = new Set(installed.map(({ name }) => name));
  return [
    ...installed.flatMap(({ name, version, sha256 }) => {
      const pin = pins[name];
      if (pin === undefined) return [`${name} ${version}; qemubox was measured without ${name}`];
      const [pinned, pinnedSha256] = pin.split(" ");
      if (version !== pinned) return [`${name} ${version}; qemubox was measured with ${pinned}`];
      if (sha256 === pinnedSha256) return [];
      throw new Error(
        `Debian package ${name} ${version} has SHA-256 ${sha256}, not ${pinnedSha256}: ` +
          "this is not the pinned package; check the mirror",
      );
    }),
    ...Object.keys(pins).filter((name) => !present.has(name)).map((name) =>
      `${name} is not installed; qemubox was measured with ${pins[name]!.split(" ")[0]}`
    ),
  ];
}
