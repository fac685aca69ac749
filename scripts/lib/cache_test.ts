import assert from "node:assert/strict";
import { hashOf } from "./cache.ts";

const CACHE = new URL("cache.ts", import.meta.url).href;

Deno.test("a hash depends on where its parts begin", () => {
  assert.notEqual(hashOf("ab", "c"), hashOf("a", "bc"));
  assert.notEqual(hashOf("ab"), hashOf("ab", ""));
  assert.equal(hashOf("ab", new Uint8Array([1])), hashOf("ab", new Uint8Array([1])));
});

Deno.test("one of several processes makes an entry; a failure leaves none", async () => {
  const home = await Deno.makeTempDir();
  try {
    const program = `
      import { cached } from "${CACHE}";
      try {
        console.log(await cached("things/a-1", async (path) => {
          await Deno.mkdir(path);
          await Deno.writeTextFile("${home}/made", "x", { append: true });
          if (Deno.args[0] === "fail") throw new Error("no");
        }));
      } catch { console.log("failed"); }`;
    await Deno.writeTextFile(`${home}/program.ts`, program);
    const run = async (...args: string[]) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-config", "--no-check", "--allow-all", `${home}/program.ts`, ...args],
        env: { XDG_CACHE_HOME: home },
      }).output();
      return new TextDecoder().decode(stdout).trim();
    };
    const names = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name);
    assert.equal(await run("fail"), "failed");
    assert.deepEqual(names(`${home}/qemubox/things`), []);
    const made = `${home}/qemubox/things/a-1`;
    assert.deepEqual(await Promise.all([run(), run(), run()]), [made, made, made]);
    assert.deepEqual(names(`${home}/qemubox/things`), ["a-1"]);
    assert.equal(await Deno.readTextFile(`${home}/made`), "xx");
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("the entries that were used last are kept, not those that were made last", async () => {
  const home = await Deno.makeTempDir();
  try {
    const program = `
      import { cached, keepNewest } from "${CACHE}";
      const make = (path) => Deno.writeTextFile(path, "x");
      const things = "${home}/qemubox/things";
      for (const [index, name] of ["a", "b", "c", "d"].entries()) {
        await Deno.utime(await cached("things/" + name, make), index + 1, index + 1);
      }
      await cached("things/a", make);
      await keepNewest("things", "");
      console.log([...Deno.readDirSync(things)].map(({ name }) => name).sort().join(" "));
      console.log(Deno.statSync(things + "/a").mtime.getTime());`;
    await Deno.writeTextFile(`${home}/program.ts`, program);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", "--no-check", "--allow-all", `${home}/program.ts`],
      env: { XDG_CACHE_HOME: home },
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "a c d\n1000\n");
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
