import assert from "node:assert/strict";
import { watchHostOom } from "./host_oom.ts";

/** Runs a test in a directory that stands for cgroup v2, with this process in /parent/own. */
function withCgroups(
  work: (cgroups: {
    readonly watch: () => () => string | null;
    readonly write: (file: string, text: string) => void;
  }) => void,
): void {
  const root = Deno.makeTempDirSync();
  try {
    Deno.mkdirSync(`${root}/parent/own`, { recursive: true });
    const self = `${root}/self`;
    Deno.writeTextFileSync(self, "1:name=systemd:/x\n0::/parent/own\n");
    const write = (file: string, text: string) => Deno.writeTextFileSync(`${root}/${file}`, text);
    write("parent/own/memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0\n");
    write("parent/own/memory.events.local", "oom 1\noom_kill 1\n");
    write("parent/memory.events.local", "oom 1\noom_kill 0\n");
    write("parent/own/memory.max", "671088640\n");
    write("parent/memory.max", "104857600\n");
    work({ watch: () => watchHostOom({ root, self }), write });
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

Deno.test("kills by the host's OOM killer are told with the limit that was met", () => {
  withCgroups(({ watch, write }) => {
    const told = watch();
    assert.equal(told(), null);
    write("parent/own/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
    assert.equal(told(), "the host's OOM killer: the host has no memory left");
    write("parent/memory.events.local", "oom 2\noom_kill 0\n");
    assert.equal(
      told(),
      "the host's OOM killer: cgroup /parent has reached its memory.max of 104857600 bytes, " +
        "raise it",
    );
    write("parent/own/memory.events.local", "oom 2\noom_kill 2\n");
    assert.match(told()!, /cgroup \/parent\/own .* 671088640 bytes/);
    // What happened before is another sandbox's.
    assert.equal(watch()(), null);
  });
});

Deno.test("without cgroup v2 nothing is told", () => {
  const root = Deno.makeTempDirSync();
  try {
    for (const text of ["", "4:memory:/x\n0::/\n", "0::/gone\n"]) {
      Deno.writeTextFileSync(`${root}/self`, text);
      assert.equal(watchHostOom({ root, self: `${root}/self` })(), null);
    }
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
