import assert from "node:assert/strict";

const root = Deno.uid() === 0;

Deno.test({
  name: `mounts and namespaces work in a child program${root ? "" : " (skipped: not root)"}`,
  ignore: !root,
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      const program = new URL("../testing/mounts_child.ts", import.meta.url).pathname;
      const outside = await Deno.readLink("/proc/self/ns/mnt");
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-lock", "--allow-all", program, directory, outside],
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert(!(await Deno.readTextFile("/proc/self/mountinfo")).includes(directory));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
