import assert from "node:assert/strict";
import { BUILD, VERSION } from "../../base/mod.ts";
import { buildIdentity } from "./build_identity.ts";
import { run, which } from "./run.ts";

Deno.test("a program that runs from source says so", () => {
  assert.equal(BUILD, `${VERSION} (source)`);
});

Deno.test({
  name: "the build identity names the commit and whether tracked files differ from it",
  ignore: which("git") === null,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const git = (...args: string[]) =>
        run(["git", "-C", directory, "-c", "user.name=t", "-c", "user.email=t@t", ...args]);
      assert.equal(await buildIdentity(directory), `${VERSION} (unknown commit)`);
      await git("init", "--quiet");
      assert.equal(await buildIdentity(directory), `${VERSION} (unknown commit)`, "no commit yet");
      await Deno.writeTextFile(`${directory}/tracked`, "1");
      await git("add", "tracked");
      await git("commit", "--quiet", "--message", "first");
      const commit = (await git("rev-parse", "HEAD")).slice(0, 12);
      await Deno.writeTextFile(`${directory}/untracked`, "1");
      assert.equal(await buildIdentity(directory), `${VERSION} (commit ${commit})`);
      await Deno.writeTextFile(`${directory}/tracked`, "2");
      assert.equal(await buildIdentity(directory), `${VERSION} (uncommitted changes on ${commit})`);
      await Deno.mkdir(`${directory}/inside`);
      assert.equal(await buildIdentity(`${directory}/inside`), `${VERSION} (unknown commit)`);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
