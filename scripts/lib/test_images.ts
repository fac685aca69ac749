/** The images of every testbed. */

import { cached, hashOf, keepNewest } from "./cache.ts";
import { type ImageRecipe, ociArchive } from "./oci_archive.ts";
import { run } from "./run.ts";
import type { TarEntry } from "./tar.ts";

/** The sandbox image of pods in tests; in a cluster it is a program that only waits, too. */
export const PAUSE_IMAGE = "docker.io/library/pause:latest";

/** Layers above busybox in the image with many layers. */
export const UPPER_LAYERS = 20;

const CONFIG = {
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  Cmd: ["sh"],
  WorkingDir: "/",
} as const;

/** Returns the path of an archive with all images; makes it if the cache does not have it. */
export async function testImages(root: string): Promise<string> {
  const busybox = await Deno.readFile(`${root}/usr/bin/busybox`);
  const applets = await run([`${root}/usr/bin/busybox`, "--list"]);
  const images = recipes(busybox, applets.split("\n").filter((applet) => applet !== ""));
  const code = ["tar.ts", "oci_archive.ts", "test_images.ts"].map((name) =>
    Deno.readTextFileSync(new URL(name, import.meta.url))
  );
  const archive = await cached(
    `images/${hashOf(busybox, applets, ...code)}`,
    async (path) => await Deno.writeFile(path, ociArchive(images)),
  );
  await keepNewest("images", "");
  return archive;
}

/**
 * Returns the images.
 *
 * @param applets names of busybox's applets, which are all in /bin, as in Docker's image
 */
export function recipes(busybox: Uint8Array, applets: readonly string[]): ImageRecipe[] {
  const base = baseLayer(busybox, applets);
  return [
    { name: "docker.io/library/busybox:latest", layers: [base], config: CONFIG },
    {
      name: "docker.io/library/layers:latest",
      layers: [base, ...upperLayers()],
      config: { ...CONFIG, Cmd: ["cat", "/layers/top"] },
    },
    {
      name: PAUSE_IMAGE,
      layers: [base],
      // In a pod with one PID namespace, the shell reaps orphans of other containers.
      config: { ...CONFIG, Cmd: ["sh", "-c", "while :; do sleep 3600; done"] },
    },
  ];
}

function baseLayer(busybox: Uint8Array, applets: readonly string[]): TarEntry[] {
  const folder = (path: string, mode = 0o755): TarEntry => ({ path, folder: true, mode });
  const file = (path: string, text: string, mode = 0o644): TarEntry => ({
    path,
    mode,
    content: new TextEncoder().encode(text),
  });
  return [
    ...["bin", "dev", "etc", "home", "proc", "sbin", "sys", "usr", "usr/bin", "usr/sbin"],
    ...["usr/local", "usr/local/bin", "usr/local/sbin", "var", "var/log", "var/www"],
  ].map((path) => folder(path)).concat([
    folder("root", 0o700),
    folder("tmp", 0o1777),
    folder("var/tmp", 0o1777),
    file(
      "etc/passwd",
      "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n" +
        "www-data:x:33:33:www-data:/var/www:/bin/false\nuser:x:1000:1000:user:/home:/bin/sh\n" +
        "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    ),
    file(
      "etc/group",
      "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nuser:x:1000:\nextra:x:2000:user\n" +
        "nogroup:x:65534:\n",
    ),
    file("etc/shadow", "root:*:::::::\n", 0o640),
    { path: "bin/busybox", mode: 0o755, content: busybox },
    ...applets.filter((name) => name !== "busybox")
      .map((name): TarEntry => ({ path: `bin/${name}`, target: "/bin/busybox" })),
    // The path in the first line of scripts.
    { path: "usr/bin/env", target: "/bin/busybox" },
  ]);
}

/**
 * Layer N adds /layers/N and writes N to /layers/top; every fifth removes the file of the layer
 * below it. So a layer that is missing, in the wrong place or not merged is visible inside.
 */
function upperLayers(): TarEntry[][] {
  return Array.from({ length: UPPER_LAYERS }, (_, index) => {
    const layer = index + 1;
    const file = (path: string, text: string): TarEntry => ({
      path,
      mode: 0o644,
      content: new TextEncoder().encode(text),
    });
    return [
      { path: "layers", folder: true, mode: 0o755 },
      file(`layers/${layer}`, `layer ${layer}\n`),
      file("layers/top", `${layer}\n`),
      ...(layer % 5 === 0 ? [file(`layers/.wh.${layer - 1}`, "")] : []),
    ];
  });
}
