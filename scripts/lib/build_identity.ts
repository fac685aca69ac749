/** The name that programs give to the build they come from. */

import { VERSION } from "../../base/mod.ts";
import { REPOSITORY } from "./paths.ts";
import { run } from "./run.ts";

const COMMIT_DIGITS = 12;

/**
 * The identity of a build of the sources in `directory`, which base/version.ts shows as BUILD:
 *
 *     0.1.0 (commit 1a2b3c4d5e6f)
 *     0.1.0 (uncommitted changes on 1a2b3c4d5e6f)
 *     0.1.0 (unknown commit)                         not a checkout of git, no commit, or no git
 *
 * Untracked files do not count: a program has one of them only after a change to a tracked file
 * that imports it.
 */
export async function buildIdentity(directory: string = REPOSITORY): Promise<string> {
  return `${VERSION} (${await commitOf(directory).catch(() => "unknown commit")})`;
}

/** @throws {Error} when git is missing or `directory` is not the top of a checkout with a commit */
async function commitOf(directory: string): Promise<string> {
  // Sources unpacked inside some other repository are not of its commit.
  if ((await git(directory, "rev-parse", "--show-cdup")) !== "") return "unknown commit";
  const commit = await git(directory, "rev-parse", "--verify", `--short=${COMMIT_DIGITS}`, "HEAD");
  const changes = await git(directory, "status", "--porcelain", "--untracked-files=no");
  return changes === "" ? `commit ${commit}` : `uncommitted changes on ${commit}`;
}

/** Standard output of git without the newline at its end. */
async function git(directory: string, ...args: readonly string[]): Promise<string> {
  const output = await run([
    "git",
    // The build runs what is in the checkout anyway, whoever owns it.
    ...["-c", `safe.directory=${await Deno.realPath(directory)}`],
    // Does not take the index's lock, which a commit that runs meanwhile needs.
    ...["--no-optional-locks", "-C", directory],
    ...args,
  ]);
  return output.trimEnd();
}
