import assert from "node:assert/strict";
import { ownersOf, packagesOwning } from "./debian_owners.ts";

const OWNERS = ownersOf([
  ["libc6:amd64", "/.\n/usr/lib\n/usr/lib/x86_64-linux-gnu/libc.so.6\n"],
  ["dash", "/.\n/bin/dash\n"],
  ["crun", "/usr/bin/crun\n"],
]);

Deno.test("files belong to packages, by either of the paths of merged directories", () => {
  const paths = ["/usr/bin/dash", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/crun"];
  assert.deepEqual(packagesOwning([...paths, "/bin/dash"], OWNERS), ["crun", "dash", "libc6"]);
});

Deno.test("a file of no package is an error", () => {
  assert.throws(() => packagesOwning(["/usr/bin/own"], OWNERS), /\/usr\/bin\/own belongs to no/);
});
