/** Copies build results to `_output/`. */

import { OUTPUT } from "./paths.ts";

/**
 * Copies a cache entry's file to `_output/NAME`, unless it is there already, and returns that path.
 * The copy has the cached file's modification time, by which it is recognized. It is renamed into
 * place, so that processes of the old file keep running.
 */
export async function publish(file: string, name: string): Promise<string> {
  const target = `${OUTPUT}/${name}`;
  const wanted = await Deno.stat(file);
  const present = await Deno.stat(target).catch(() => null);
  if (present?.size === wanted.size && present.mtime?.getTime() === wanted.mtime?.getTime()) {
    return target;
  }
  await Deno.mkdir(OUTPUT, { recursive: true });
  const temporary = `${target}.${Deno.pid}`;
  await Deno.copyFile(file, temporary);
  await Deno.chmod(temporary, (wanted.mode ?? 0o644) & 0o777);
  await Deno.utime(temporary, wanted.atime ?? new Date(), wanted.mtime ?? new Date());
  await Deno.rename(temporary, target);
  return target;
}
