/** What containerd's environment and other users of the host can do to a shim. */

import assert from "node:assert/strict";
import { e2e } from "../lib/testbed.ts";
import { makeBundle } from "../faults/bundle.ts";
import { assertDeleted, pathsOf, runDelete } from "../faults/hand_started.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { until } from "../lib/wait.ts";

const SHIM = "containerd-shim-qemubox-v1";
const ADDRESS = "/run/containerd/containerd.sock";
const NOBODY = 65_534;

/** Runs `start` with these variables besides PATH. */
async function start(
  id: string,
  cwd: string,
  variables: Record<string, string>,
): Promise<{ readonly code: number; readonly stderr: string }> {
  const { code, stderr } = await new Deno.Command(SHIM, {
    args: ["-namespace", "default", "-address", ADDRESS, "-id", id, "start"],
    ...{ cwd, clearEnv: true, env: { PATH: Deno.env.get("PATH")!, ...variables } },
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

e2e("nothing of containerd's environment changes how a shim runs", async (bench) => {
  const id = bench.newId();
  const bundle = makeBundle();
  const kept = { QEMUBOX_SHUTDOWN_TIMEOUT_SECONDS: "3", TTRPC_ADDRESS: "/run/no.ttrpc" };
  const dropped = {
    ...{ LD_LIBRARY_PATH: "/tmp", GLIBC_TUNABLES: "glibc.malloc.check=0", RUST_LOG: "error" },
    ...{ DENO_DIR: "/tmp/dir", DENO_V8_FLAGS: "--no-opt", NODE_OPTIONS: "--no-deprecation" },
    ...{ OTEL_DENO: "false", NO_COLOR: "1", TMPDIR: "/tmp", HTTPS_PROXY: "http://127.0.0.1:9" },
  };
  const name = { namespace: "default", id };
  try {
    const { code, stderr } = await start(id, bundle, { ...kept, ...dropped });
    assert.deepEqual([code, stderr], [0, ""]);
    const shim = await until("the shim", 10_000, () => {
      const found = sandboxProcesses(id).find(({ role }) => role === "shim") ?? null;
      return found !== null && environmentOf(found.pid).length > 0 ? found : null;
    });
    assert.deepEqual(environmentOf(shim.pid).toSorted(), ["PATH", ...Object.keys(kept)].toSorted());
    const { lease, socket } = pathsOf(name);
    const modes = [lease, `${lease}/lease.json`, socket].map(modeOf);
    assert.deepEqual(modes, ["700", "600", "600"]);
  } finally {
    assertDeleted(await runDelete(name));
    Deno.removeSync(bundle, { recursive: true });
  }
});

e2e("a directory that another user can change is refused by start and delete", async (bench) => {
  const id = bench.newId();
  const bundle = makeBundle();
  const directory = Deno.makeTempDirSync({ prefix: "e2e-own-" });
  try {
    for (const setting of ["run_dir", "state_dir", "log_dir"]) {
      const variables = { [`QEMUBOX_${setting.toUpperCase()}`]: directory };
      Deno.chownSync(directory, NOBODY, NOBODY);
      const others = await start(id, bundle, variables);
      assert.equal(others.code, 1);
      assert.equal(
        others.stderr,
        `${SHIM}: ${setting} ${directory} belongs to uid ${NOBODY}: run "chown root ${directory}", ` +
          `or set QEMUBOX_${setting.toUpperCase()} to a directory that only root can change`,
      );
      Deno.chownSync(directory, 0, 0);
      Deno.chmodSync(directory, 0o777);
      assert.match((await start(id, bundle, variables)).stderr, /is writable for others .*0777/);
      Deno.chmodSync(directory, 0o755);
    }
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  } finally {
    Deno.removeSync(directory, { recursive: true });
    Deno.removeSync(bundle, { recursive: true });
  }
});

function environmentOf(pid: number): string[] {
  return Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0").filter((one) => one !== "")
    .map((one) => one.slice(0, one.indexOf("=")));
}

function modeOf(path: string): string {
  return (Deno.statSync(path).mode! & 0o7777).toString(8);
}
