import assert from "node:assert/strict";
import { temporaryFolder } from "../testing/test_support.ts";
import { enterSystemdScope, systemdScopeOf } from "./systemd_scope.ts";

Deno.test("a cgroup path slice:prefix:name gives a scope, any other gives none", () => {
  const rows: [string | undefined, string | null][] = [
    ["system.slice:nerdctl:c1", "system.slice nerdctl-c1.scope"],
    [
      "kubepods-besteffort-pod1.slice:cri-containerd:0a1b",
      "kubepods-besteffort-pod1.slice cri-containerd-0a1b.scope",
    ],
    [":crio:c1", "system.slice crio-c1.scope"],
    ["user.slice::c1", "user.slice c1.scope"],
    [undefined, null],
    ["", null],
    ["/a/c1", null],
    ["system.slice:c1", null],
    ["system.slice:a:", null],
    ["system.slice:a:b:c", null],
    ["system:a:b", null],
    ["system.slice:a:b/../c", null],
    ["-x y.slice:a:b", null],
    [`system.slice:a:${"b".repeat(250)}`, null],
  ];
  for (const [path, expected] of rows) {
    const scope = systemdScopeOf(path);
    assert.equal(scope && `${scope.slice} ${scope.unit}`, expected, path);
  }
});

Deno.test("a scope that systemd refuses is reported with its message", async () => {
  using directory = temporaryFolder();
  const command = `${directory.path}/systemd-run`;
  Deno.writeTextFileSync(command, "#!/bin/sh\necho no such slice >&2\nexit 1\n", { mode: 0o755 });
  await assert.rejects(
    enterSystemdScope({ slice: "a.slice", unit: "b.scope" }, 42, command),
    { message: "systemd cannot create scope b.scope in a.slice: no such slice" },
  );
  await assert.rejects(
    enterSystemdScope({ slice: "a.slice", unit: "b.scope" }, 42, `${command}-not`),
    Deno.errors.NotFound,
  );
});
