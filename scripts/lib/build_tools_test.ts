import assert from "node:assert/strict";
import { checkBuildTools, pinnedDenoSha256 } from "./build_tools.ts";

Deno.test("scripts/deno pins Deno by its SHA-256", () => {
  assert.match(pinnedDenoSha256(), /^[0-9a-f]{64}$/);
});

Deno.test("an esbuild that is not the pinned one fails the build", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const folder = `${directory}/dl/esbuild-0.25.5`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(`${folder}/esbuild-linux-x64`, "another");
    // Not Deno either, which is only a warning.
    await assert.rejects(
      checkBuildTools(`${folder}/esbuild-linux-x64`, directory),
      /esbuild-linux-x64 has SHA-256 [0-9a-f]{64}, not .*: this is not the pinned esbuild/,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
