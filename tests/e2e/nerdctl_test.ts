/** Containers of nerdctl, whose networks are made by hooks of their specifications. */

import assert from "node:assert/strict";
import { isThere } from "../../base/mod.ts";
import { NERDCTL_PROGRAM } from "../../scripts/lib/nerdctl.ts";
import { BUSYBOX, Client, RUNTIME } from "../lib/ctr.ts";
import { whyNoPeer } from "../lib/go_peers.ts";
import { kill, shimOf } from "../lib/sandbox_processes.ts";
import { type Bench, testbedTest } from "../lib/testbed.ts";
import { patience, until } from "../lib/wait.ts";

const WHY_NOT = whyNoPeer(NERDCTL_PROGRAM, "nerdctl");
const BRIDGE = "nerdctl0";
const GATEWAY = "10.4.0.1";
const FIFOS = "/run/containerd/fifo";
const SOON_MS = patience(20_000);

/** nerdctl with all its state in one directory. */
class Nerdctl implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync({ prefix: "nerdctl-" });

  ok(...args: readonly string[]): Promise<string> {
    return this.#client(args).output();
  }

  run(...args: readonly string[]): Client["ended"] {
    return this.#client(args).ended;
  }

  #client(args: readonly string[]): Client {
    const own = [
      ...["--snapshotter", "overlayfs", "--cni-path", "/usr/lib/cni"],
      ...["--data-root", `${this.folder}/data`, "--cni-netconfpath", `${this.folder}/networks`],
    ];
    return new Client([...own, ...args], { program: NERDCTL_PROGRAM });
  }

  /** Returns the allocated addresses of its network. */
  addresses(): string[] {
    return [...Deno.readDirSync("/var/lib/cni/networks/bridge")].map(({ name }) => name)
      .filter((name) => name.startsWith("10."));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // FIFOs of a client in the foreground stay, with any runtime.
    for (const { name } of Deno.readDirSync(FIFOS)) {
      await Deno.remove(`${FIFOS}/${name}`, { recursive: true });
    }
    // nerdctl makes the bridge for the first container and keeps it.
    await new Deno.Command("ip", { args: ["link", "del", BRIDGE] }).output();
    await Deno.remove(this.folder, { recursive: true });
  }
}

function nerdctl(name: string, work: (nerdctl: Nerdctl, bench: Bench) => Promise<void>): void {
  const withIt = async (bench: Bench) => {
    await using nerdctl = new Nerdctl();
    await work(nerdctl, bench);
  };
  const full = WHY_NOT === null ? name : `${name} (skipped: ${WHY_NOT})`;
  testbedTest(full, "e2e", withIt, { ignore: WHY_NOT !== null });
}

/**
 * Returns whether a port of this host serves the page. fetch needs certificates, which are missing.
 */
async function page(port: number): Promise<boolean> {
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode("GET /index.html HTTP/1.0\r\n\r\n"));
    return (await new Response(connection.readable).text()).endsWith("\r\n\r\npage\n");
  } catch {
    return false;
  }
}

/**
 * nerdctl copies through the root of the task's pid, which with other runtimes is the container's.
 * Here it is that of QEMU, which is empty: the copy fails, and nothing of the host is touched.
 */
async function copiesNothing(nerdctl: Nerdctl, name: string): Promise<void> {
  const watched = Deno.makeTempFileSync({ dir: "/var/lib", prefix: "e2e-watched-" });
  const [source, target] = [`${nerdctl.folder}/source`, `${nerdctl.folder}/target`];
  try {
    Deno.writeTextFileSync(watched, "of the host\n");
    Deno.writeTextFileSync(source, "of the client\n");
    for (
      const [from, to] of [
        [`${name}:${watched}`, target],
        [`${name}:/etc/shadow`, target],
        [source, `${name}:${watched}`],
        [source, `${name}:/var/lib/e2e-copied`],
      ] as const
    ) {
      const { code, stderr } = await nerdctl.run("cp", from, to);
      assert.notEqual(code, 0, `${from} ${to}`);
      assert.notEqual(stderr, "");
    }
    assert(!isThere(target));
    assert(!isThere("/var/lib/e2e-copied"));
    assert.equal(Deno.readTextFileSync(watched), "of the host\n");
  } finally {
    Deno.removeSync(watched);
  }
}

const RUN = ["run", "--runtime", RUNTIME];

nerdctl(
  "nerdctl run has network, name, volume and status as with any runtime",
  async (nerdctl) => {
    const folder = `${nerdctl.folder}/volume`;
    Deno.mkdirSync(folder);
    const script =
      `hostname; cat /etc/hosts; ip -4 -o addr show eth0; ping -c1 -W5 ${GATEWAY} >/dev/null &&
    echo reached; echo written >/volume/file; exit 7`;
    const { code, stdout, stderr } = await nerdctl.run(
      ...[...RUN, "--rm", "--hostname", "guest", "-v", `${folder}:/volume`, BUSYBOX],
      ...["sh", "-c", script],
    );
    assert.equal(code, 7, stderr);
    const address = /inet (10\.4\.0\.\d+)\/24/.exec(stdout)?.[1] ?? "none";
    assert.match(stdout, /^guest\n/);
    assert.match(stdout, /\nreached\n$/);
    assert(new RegExp(`^${address}\\s+guest`, "m").test(stdout), stdout);
    assert.equal(Deno.readTextFileSync(`${folder}/file`), "written\n");
    assert.deepEqual(nerdctl.addresses(), []);
    const none = await nerdctl.ok(...RUN, "--rm", "--network", "none", BUSYBOX, "ip", "-o", "link");
    assert.match(none, /^1: lo:.*\n$/);
  },
);

nerdctl(
  "a detached container of nerdctl has a published port, inspect, exec, logs and stop",
  async (nerdctl) => {
    const server = "echo begun; echo page >/index.html; httpd -f -p 80 -h /";
    const id = (await nerdctl.ok(
      ...[...RUN, "-d", "--name", "server", "-p", "127.0.0.1:8093:80", BUSYBOX, "sh", "-c", server],
    )).trim();
    await until("the page", SOON_MS, async () => await page(8093) || null);
    const inspect = async (what: string) =>
      (await nerdctl.ok("inspect", "--format", what, "server")).trim();
    assert.match(await inspect("{{.NetworkSettings.IPAddress}}"), /^10\.4\.0\.\d+$/);
    assert.equal(await nerdctl.ok("exec", "server", "hostname"), `${id.slice(0, 12)}\n`);
    assert.equal(await nerdctl.ok("logs", "server"), "begun\n");
    await copiesNothing(nerdctl, "server");
    await nerdctl.ok("stop", "--time", "1", "server");
    assert.match(await inspect("{{.State.Status}}"), /exited/);
    await nerdctl.ok("start", "server");
    await until("the page", SOON_MS, async () => await page(8093) || null);
    await nerdctl.ok("rm", "--force", "server");
    assert.deepEqual(nerdctl.addresses(), []);
    assert.equal(await page(8093), false);
  },
);

nerdctl(
  "nerdctl's hooks release the network of a container whose shim is killed",
  async (nerdctl) => {
    const args = [
      ...RUN,
      "-d",
      "--name",
      "victim",
      "-p",
      "127.0.0.1:8094:80",
      BUSYBOX,
      "sleep",
      "3600",
    ];
    const id = (await nerdctl.ok(...args)).trim();
    assert.equal(nerdctl.addresses().length, 1);
    kill(shimOf(id), "SIGKILL");
    await until("release of its address", SOON_MS, () => {
      return Promise.resolve(nerdctl.addresses().length === 0 || null);
    });
    await nerdctl.ok("rm", "--force", "victim");
  },
);
