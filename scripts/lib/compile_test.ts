import assert from "node:assert/strict";
import { withoutCachePaths } from "./compile.ts";

Deno.test("a bundle does not depend on where the packages lie", () => {
  const bundle = (cache: string) =>
    `// ${cache}/npm/some.host/zod/4.6.7/v4/coerce.js\nvar a;\n// shim/main.ts\n`;
  assert.equal(
    withoutCachePaths(bundle("../../root/.cache/deno")),
    withoutCachePaths(bundle("/x")),
  );
  assert.equal(
    withoutCachePaths(bundle("/x")),
    "// npm:zod/4.6.7/v4/coerce.js\nvar a;\n// shim/main.ts\n",
  );
});
