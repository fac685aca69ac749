/**
 * Directories that live as long as the process that made them. Each has a lock file that its owner
 * holds. One whose lock is free was left by a killed process, and is removed by the next process
 * that makes one.
 */

import { messageOf } from "../../base/mod.ts";
import { locked } from "./cache.ts";
import { loud } from "./log.ts";
import { cacheFolder } from "./paths.ts";
import { run } from "./run.ts";

/** A scratch directory in the cache. */
export class Scratch implements AsyncDisposable {
  private constructor(readonly path: string, private readonly owner: Deno.FsFile) {}

  /** Makes a directory, and removes those whose owners are gone. */
  static async make(parent: string = cacheFolder("scratch")): Promise<Scratch> {
    return await locked(`${parent}/lock`, async () => {
      await removeStale(parent);
      const path = await Deno.makeTempDir({ dir: parent });
      await Deno.chmod(path, 0o755);
      const owner = await Deno.open(`${path}.owner`, { create: true, write: true });
      await owner.lock(true);
      return new Scratch(path, owner);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.path);
    this.owner.close();
  }
}

async function removeStale(parent: string): Promise<void> {
  for (const { name, isDirectory } of [...Deno.readDirSync(parent)]) {
    if (!isDirectory) continue;
    const path = `${parent}/${name}`;
    // Deno cannot try a lock without blocking.
    const { success } = await new Deno.Command("flock", {
      args: ["--nonblock", "--exclusive", `${path}.owner`, "true"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    if (success) await remove(path);
  }
}

/**
 * Removes a directory, but nothing on file systems that are mounted in it. A failure is a warning:
 * the next process tries again.
 */
async function remove(path: string): Promise<void> {
  try {
    await run(["rm", "-rf", "--one-file-system", path]);
    await Deno.remove(`${path}.owner`).catch(() => {});
  } catch (error) {
    loud(`cannot remove ${path}: ${messageOf(error)}`);
  }
}
