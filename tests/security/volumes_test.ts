/** What a container can leave on the host through a writable volume. */

import assert from "node:assert/strict";
import { configured } from "../lib/configured.ts";
import { ctr, runArguments } from "../lib/ctr.ts";
import { sandboxProcesses } from "../lib/sandbox_processes.ts";
import { e2e, logLines } from "../lib/testbed.ts";

/** Each line tries one thing and prints its number if it succeeds. */
const ATTEMPTS = `mknod /v/block b 1 0 && echo 1; mknod /v/character c 1 3 && echo 2
  touch /v/plain; chmod 4755 /v/plain && echo 3; chmod 2755 /v/plain && echo 4
  mkdir /v/directory; chmod 2775 /v/directory && echo 5
  cp /bin/busybox /own; chmod 6755 /own && echo own; tar -cf /own.tar own && tar -xf /own.tar -C /v
  mkfifo /v/fifo && chmod 1777 /v/directory && chown 1000:33 /v/plain && chmod 640 /v/plain && echo 7
  echo more >> /v/setuid && echo 8`;

async function attempt(id: string, host: string): Promise<string[]> {
  const volume = ["--mount", `type=bind,src=${host},dst=/v,options=rbind:rw`];
  const flags = ["--rm", "--privileged", ...volume];
  const { stdout, stderr } = await ctr(...runArguments(id, ["sh", "-c", ATTEMPTS], { flags }));
  const refused = stderr.match(/Operation not permitted/g)?.length ?? 0;
  assert.equal(refused, stdout.startsWith("1\n") ? 0 : 6, `${stdout}${stderr}`);
  return stdout.trim().split("\n");
}

/** Returns the files that are devices, or setuid or setgid. */
function dangerous(directory: string): string[] {
  return [...Deno.readDirSync(directory)].filter(({ name }) => {
    const { mode, isBlockDevice, isCharDevice } = Deno.lstatSync(`${directory}/${name}`);
    return isBlockDevice || isCharDevice || (mode! & 0o6000) !== 0;
  }).map(({ name }) => name).toSorted();
}

/** A directory of the host with a file that was setuid before. */
function hostDirectory(): string {
  const directory = Deno.makeTempDirSync({ prefix: "e2e-volume-" });
  Deno.writeTextFileSync(`${directory}/setuid`, "old\n");
  Deno.chmodSync(`${directory}/setuid`, 0o4755);
  return directory;
}

e2e("neither devices nor setuid or setgid files come through a volume", async (bench) => {
  const id = bench.newId();
  const host = hostDirectory();
  try {
    assert.deepEqual(await attempt(id, host), ["own", "7", "8"]);
    assert.deepEqual(dangerous(host), []);
    const { mode, uid, gid } = Deno.statSync(`${host}/plain`);
    assert.deepEqual([mode! & 0o7777, uid, gid], [0o640, 1000, 33]);
    assert.deepEqual(logLines(id).filter((line) => line.includes("volumes:")), []);
  } finally {
    Deno.removeSync(host, { recursive: true });
  }
});

e2e("volume_privileges = allow lets them through, as other runtimes do", async (bench) => {
  using _ = configured({ volume_privileges: "allow" });
  const host = hostDirectory();
  try {
    const found = await attempt(bench.newId(), host);
    assert.deepEqual(found, ["1", "2", "3", "4", "5", "own", "7", "8"]);
    assert.deepEqual(dangerous(host), ["block", "character", "own", "setuid"]);
  } finally {
    Deno.removeSync(host, { recursive: true });
  }
});

for (const access of ["ro", "rw"] as const) {
  e2e(`virtiofsd of a volume (${access}) has the privileges of its work`, async (bench) => {
    const id = bench.newId();
    const host = hostDirectory();
    try {
      const volume = ["--mount", `type=bind,src=${host},dst=/v,options=rbind:${access}`];
      const flags = ["-d", ...volume];
      const command = ["sh", "-c", "cat /v/setuid; sleep 1000"];
      const started = await ctr(...runArguments(id, command, { flags, snapshotter: "erofs" }));
      assert.equal(started.code, 0, started.stderr);
      const daemons = sandboxProcesses(id).filter(({ role }) => role === "virtiofsd");
      const { pid } = daemons.find(({ parent }) => daemons.some((one) => one.pid === parent))!;
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)![1]!;
      // dac_read_search alone; chown, dac_override, dac_read_search, fowner, setgid, setuid.
      const capabilities = { ro: "0000000000000004", rw: "00000000000000cf" }[access];
      assert.deepEqual([field("CapEff"), field("CapPrm")], [capabilities, capabilities]);
      assert.deepEqual([field("NoNewPrivs"), field("Seccomp")], ["1", "2"]);
      assert.equal(field("Seccomp_filters"), { ro: "1", rw: "2" }[access]);
      const limits = Deno.readTextFileSync(`/proc/${pid}/limits`);
      const [, soft, hard] = /^Max open files +(\d+) +(\d+) /m.exec(limits)!.map(Number);
      assert(soft! <= 262_144 && hard! <= 262_144, limits);
    } finally {
      await ctr("task", "rm", "-f", id);
      await ctr("container", "rm", id);
      Deno.removeSync(host, { recursive: true });
    }
  });
}
