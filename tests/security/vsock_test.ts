/** Containers make no AF_VSOCK sockets, unless a setting allows it. */

import assert from "node:assert/strict";
import { Client, ctr, runArguments } from "../lib/ctr.ts";
import { socketProbe, WAYS } from "../lib/socket_probe.ts";
import { type Bench, e2e } from "../lib/testbed.ts";

/** Runs the probe as a container's init and as an exec process. Returns the ways that succeeded. */
async function probed(bench: Bench, ...flags: readonly string[]): Promise<(keyof typeof WAYS)[]> {
  const directory = Deno.makeTempDirSync({ prefix: "e2e-probe-" });
  try {
    Deno.writeFileSync(`${directory}/probe`, socketProbe());
    Deno.chmodSync(`${directory}/probe`, 0o755);
    const mount = ["--mount", `type=bind,src=${directory},dst=/probe,options=rbind:ro`];
    const id = bench.newId();
    const script = "/probe/probe; echo $?; echo probed; read _";
    await using client = new Client(
      runArguments(id, ["sh", "-c", script], { flags: ["--rm", ...mount, ...flags] }),
      { input: true },
    );
    await client.line("probed");
    const { code } = await ctr("task", "exec", "--exec-id", "e", id, "/probe/probe");
    await client.write("go on\n");
    const { stdout } = await client.ended;
    assert.equal(stdout, `${code}\nprobed\n`, "init and exec process differ");
    return Object.entries(WAYS).filter(([_, bit]) => code & bit)
      .map(([way]) => way as keyof typeof WAYS);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

e2e(
  "a container makes no AF_VSOCK socket by any call, and other sockets as before",
  async (bench) => {
    assert.deepEqual(await probed(bench), ["inet32", "inet"]);
  },
);

e2e("a privileged container makes no AF_VSOCK socket either", async (bench) => {
  assert.deepEqual(await probed(bench, "--privileged"), ["inet32", "inet"]);
});

e2e(
  "a container with containerd's seccomp profile makes no AF_VSOCK socket either",
  async (bench) => {
    assert.deepEqual(await probed(bench, "--seccomp"), ["inet32", "inet"]);
  },
);

e2e("setting vsock allows AF_VSOCK sockets", async (bench) => {
  const ways = await probed(bench, "--annotation", "io.qemubox.vsock=allow");
  assert.deepEqual(ways, Object.keys(WAYS).filter((way) => way !== "vsockX32"));
});
