import assert from "node:assert/strict";
import { openNamespace, system } from "../../ffi/mod.ts";
import { RefusedError } from "../base/refused_error.ts";
import { hookState, hostHooks } from "../plan/host_hooks.ts";
import type { OciHook } from "../plan/oci.ts";
import { MemoryLog, temporaryFolder } from "../testing/test_support.ts";
import { endHooks, Hooks } from "./hooks.ts";

const SETPRIV = "/usr/bin/setpriv";
const ignore = Deno.uid() !== 0;

/** A hook that runs a script, with arguments `$1` and `$2`. */
function script(text: string, more: Partial<OciHook> = {}): OciHook {
  const env = ["PATH=/usr/bin:/bin", "GREETING=a=b"];
  return { path: "/bin/sh", args: ["sh", "-c", text, "sh", "one", "two"], env, ...more };
}

async function withHooks(
  create: OciHook[],
  work: (enter: () => Promise<void>, log: MemoryLog) => Promise<void>,
): Promise<void> {
  const netns = openNamespace(system, "net");
  const log = new MemoryLog();
  const state = { ociVersion: "1.1.0", id: "c1", bundle: "/b", annotations: { a: "b" } };
  const host = { system, log, vmName: "default/c1", setprivPath: SETPRIV };
  try {
    await work(() => new Hooks({ create, delete: [] }, state, host).enter(netns), log);
  } finally {
    system.close(netns);
  }
}

Deno.test("hooks for the host are found, in the order in which they run", () => {
  const hook = (path: string): OciHook => ({ path });
  assert.equal(hostHooks({}), null);
  assert.equal(hostHooks({ hooks: { startContainer: [hook("/a")] } }), null);
  const last = { poststop: [hook("/a")], startContainer: [hook("/b")] };
  assert.deepEqual(hostHooks({ hooks: last }), { create: [], delete: [hook("/a")] });
  assert.deepEqual(
    hostHooks({
      hooks: { createRuntime: [hook("/b")], prestart: [hook("/a")], poststop: [hook("/c")] },
    }),
    { create: [hook("/a"), hook("/b")], delete: [hook("/c")] },
  );
  const state = hookState({ id: "c1", bundle: "/b" }, { annotations: { a: "b" } });
  assert.deepEqual(state, { ociVersion: "1.0.2", id: "c1", bundle: "/b", annotations: { a: "b" } });
});

Deno.test({
  name: "hooks run in order, with a process in the namespace that exits after them (needs root)",
  ignore,
  fn: async () => {
    using directory = temporaryFolder();
    const output = `${directory.path}/output`;
    const note = script(`
      state=$(cat); pid=$(echo "$state" | sed 's/.*"pid":\\([0-9]*\\).*/\\1/')
      echo "$1 $2 $GREETING $QEMUBOX_VM" >>${output}; echo "$state" >>${output}
      readlink /proc/$pid/ns/net >>${output}; cat /proc/$pid/comm >>${output}; echo $pid >>${output}
    `);
    await withHooks([note, script(`echo last >>${output}`)], async (enter) => {
      await enter();
      const [words, state, namespace, comm, pid, last] = Deno.readTextFileSync(output).split("\n");
      assert.equal(words, "one two a=b default/c1");
      assert.deepEqual(JSON.parse(state!), {
        ...{ ociVersion: "1.1.0", id: "c1", bundle: "/b", annotations: { a: "b" } },
        ...{ status: "creating", pid: Number(pid) },
      });
      assert.equal(namespace, Deno.readLinkSync("/proc/self/ns/net"));
      assert.deepEqual([comm, last], ["sleep", "last"]);
      assert.throws(() => Deno.statSync(`/proc/${pid}`), Deno.errors.NotFound);
    });
  },
});

Deno.test({
  name: "a hook that fails, is late or is missing is named, and no hook runs after it (needs root)",
  ignore,
  fn: async () => {
    using directory = temporaryFolder();
    const never = script(`touch ${directory.path}/never`);
    const bad: [OciHook, RegExp][] = [
      [
        script("echo no such network >&2; exit 3"),
        /^hook \/bin\/sh of config\.json failed with exit status 3: no such network$/,
      ],
      [
        script("sleep 100", { timeout: 0.1 }),
        /^hook \/bin\/sh of config\.json did not exit within 0\.1 s$/,
      ],
      [{ path: "/no/such/hook" }, /^hook \/no\/such\/hook of config\.json cannot be run: .*ENOENT/],
      [{ path: "hook" }, /^hook hook of config\.json has a path that is not absolute$/],
    ];
    for (const [hook, message] of bad) {
      await withHooks([hook, never], (enter) =>
        assert.rejects(enter(), (error) => {
          assert.ok(error instanceof RefusedError, String(error));
          assert.equal(error.kind, "host");
          assert.match(error.message, message);
          return true;
        }));
    }
    assert.deepEqual([...Deno.readDirSync(directory.path)], []);
  },
});

Deno.test("all hooks after a delete are run, and failures are logged", async () => {
  using directory = temporaryFolder();
  const output = `${directory.path}/output`;
  const log = new MemoryLog();
  const hooks = { create: [], delete: [script("exit 1"), script(`cat >>${output}`)] };
  const state = { ociVersion: "1.1.0", id: "c1", bundle: "/b", annotations: {} };
  await endHooks(hooks, state, { system, log, vmName: "default/c1" });
  assert.deepEqual(log.at("warn"), ["hook /bin/sh of config.json failed with exit status 1"]);
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(output)), {
    ...state,
    status: "stopped",
    pid: 0,
  });
});
