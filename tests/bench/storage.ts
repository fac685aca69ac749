import { MIB } from "../../base/mod.ts";
import { randomBytes } from "../lib/bytes.ts";
import { timed } from "./clock.ts";
import type { Measure } from "./measure.ts";
import { dropFromCache } from "./page_cache.ts";
import { Rootfs, run, ShimContainer } from "./shim_container.ts";

const FILE_MIB = 64;
const FILES = 20_000;
const FILES_PER_DIRECTORY = 100;
/** Several reads make up for /proc/uptime, which counts hundredths of a second. */
const WARM_READS = 8;
/** Enough for both copies of the file in the guest's page cache. */
const MEMORY_LIMIT = 512 * MIB;
/** Directories of the data in the image, and of the volume. */
const [IN_IMAGE, IN_VOLUME] = ["/data", "/volume"];
const PLACES = ["layer", "layer-file", "volume", "host"] as const;
type Place = typeof PLACES[number];

/** Values of a place in milliseconds. */
interface Seen {
  readonly read: { readonly cold: number; readonly warm: number };
  readonly walk: { readonly cold: number; readonly warm: number };
}

/**
 * Reading 64 MiB, and the attributes of 20,000 files, in an EROFS layer as a disk, in one as a file
 * over virtio-fs, in a volume and on the host, by the same busybox. Cold is the first time in that
 * VM, with the 64 MiB in no page cache; the host's names and attributes are always warm.
 */
export const storage: Measure = {
  name: "storage",
  rows: {
    ...Object.fromEntries(PLACES.flatMap((place) => [
      [`read-${place}-cold`, "ms"] as const,
      [`read-${place}-warm`, "ms"] as const,
      ...(place === "host" ? [] : [[`walk-${place}-cold`, "ms"] as const]),
      [`walk-${place}-warm`, "ms"] as const,
    ])),
  },
  roundsMax: 3,
  async run() {
    using rootfs = new Rootfs();
    const data = `${rootfs.path}${IN_IMAGE}`;
    makeData(data);
    Deno.mkdirSync(`${rootfs.path}${IN_VOLUME}`);
    using image = await erofsImage(rootfs);
    const things = { rootfs, image: image.path, data };
    const disk = await inContainer("disk", ["layer", "volume"], things);
    const files = await inContainer("files", ["layer-file"], things);
    const host = await lookAt(data, `${data}/file`, (script) => {
      return timed(() => run("/bin/busybox", ["sh", "-c", script]));
    });
    const { cold: _, ...walk } = host.walk;
    return Object.fromEntries(
      Object.entries({ ...disk, ...files, host: { ...host, walk } }).flatMap(([place, seen]) =>
        Object.entries(seen).flatMap(([what, values]) =>
          Object.entries(values as Record<string, number>)
            .map(([state, value]) => [`${what}-${place}-${state}`, value])
        )
      ),
    );
  },
};

function makeData(directory: string): void {
  Deno.mkdirSync(directory);
  const block = randomBytes(MIB);
  using file = Deno.createSync(`${directory}/file`);
  for (let mib = 0; mib < FILE_MIB; mib++) {
    block[0] = mib; // No two blocks are the same.
    file.writeSync(block);
  }
  for (let index = 0; index < FILES; index++) {
    const parent = `${directory}/tree/${Math.floor(index / FILES_PER_DIRECTORY)}`;
    if (index % FILES_PER_DIRECTORY === 0) Deno.mkdirSync(parent, { recursive: true });
    Deno.writeTextFileSync(`${parent}/file-${index}`, "one line\n");
  }
}

/** Makes an EROFS image of `rootfs` beside it. */
export async function erofsImage(rootfs: Rootfs): Promise<Disposable & { readonly path: string }> {
  const path = `${rootfs.path}.erofs`;
  using undo = new DisposableStack();
  undo.defer(() => Deno.removeSync(path));
  await run("mkfs.erofs", ["--quiet", path, rootfs.path]);
  const owned = undo.move();
  return { path, [Symbol.dispose]: () => owned.dispose() };
}

/** Measures in a container whose layers are handed over in this way. */
async function inContainer(
  layers: "disk" | "files",
  places: readonly Exclude<Place, "host">[],
  { rootfs, image, data }: { rootfs: Rootfs; image: string; data: string },
): Promise<Partial<Record<Place, Seen>>> {
  await using container = await ShimContainer.prepare({
    ...{ rootfs, image, args: ["/bin/sleep", "3600"], memoryLimit: MEMORY_LIMIT },
    annotations: { "io.qemubox.layers": layers },
    volume: { source: data, destination: IN_VOLUME },
  });
  await container.start();
  await container.create();
  await container.task.start({ id: container.id });
  const found: Partial<Record<Place, Seen>> = {};
  for (const place of places) {
    const [directory, file] = place === "volume" ? [IN_VOLUME, `${data}/file`] : [IN_IMAGE, image];
    found[place] = await lookAt(directory, file, (script) => timedInside(container, script));
  }
  await container.kill();
  await container.delete();
  await container.shutdown();
  return found;
}

/**
 * Measures reads and walks of a place.
 *
 * @param directory path of the data for the scripts.
 * @param file of the host with the data.
 * @param time runs a script there. Returns how many milliseconds it took.
 */
async function lookAt(
  directory: string,
  file: string,
  time: (script: string) => Promise<number>,
): Promise<Seen> {
  const read = `dd if=${directory}/file of=/dev/null bs=1M 2>/dev/null`;
  // Reads the attributes of each file.
  const walk = `find ${directory}/tree -size +1024k`;
  const walks = { cold: await time(walk), warm: await time(walk) };
  await dropFromCache(file);
  const cold = await time(read);
  const warm = await time(Array.from({ length: WARM_READS }, () => read).join(" && "));
  return { read: { cold, warm: warm / WARM_READS }, walk: walks };
}

/** Returns a script's milliseconds by the guest's clock, which excludes the cost of an exec. */
async function timedInside(container: ShimContainer, script: string): Promise<number> {
  const clock = (name: string) => `read ${name} _ </proc/uptime`;
  const timed = `${clock("before")}; ${script} || exit; ${clock("after")}; echo $before $after`;
  const output = container.output();
  output.catch(() => {});
  await container.exec(["/bin/sh", "-c", timed], container.stdout);
  const match = /^(\d+\.\d+) (\d+\.\d+)\n$/.exec(await output);
  if (match === null) throw new Error(`${script} in the guest failed`);
  return (Number(match[2]) - Number(match[1])) * 1000;
}
