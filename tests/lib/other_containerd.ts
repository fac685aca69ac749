/** A second containerd beside the testbed's, with its own directories and socket. */

import { removeIfPresent } from "../../base/mod.ts";
import { LAB_TIMEOUTS } from "../../scripts/lib/lab_timeouts.ts";
import { IN_LAB } from "./environment.ts";
import { Client, type Ended } from "./ctr.ts";
import { patience, until } from "./wait.ts";

const STARTS_WITHIN_MS = patience(30_000);

/** The paths of a containerd. */
export interface Place {
  /** For errors. */
  readonly name: string;
  /** Persistent data, on a file system that supports overlays and snapshots. */
  readonly root: string;
  /** Its configuration, its socket, and the state of running containers. */
  readonly state: string;
  readonly log: string;
  /** Prefix of its programs: a directory with a slash, or nothing for those on PATH. */
  readonly programs: string;
}

/** A containerd that runs, or that can be started again. Disposing it stops it. */
export class OtherContainerd implements AsyncDisposable {
  readonly socket: string;
  readonly configFile: string;
  readonly #place: Place;
  readonly #configuration: string;
  #process: Deno.ChildProcess | null = null;

  /** @param configuration in TOML, version 3, without its paths. */
  constructor(place: Place, configuration: string) {
    this.#place = place;
    this.#configuration = configuration;
    this.socket = `${place.state}/containerd.sock`;
    this.configFile = `${place.state}/config.toml`;
  }

  /** Starts it; resolves when it listens, that is, when its plugins are loaded. */
  async start(): Promise<void> {
    const { name, root, state, log, programs } = this.#place;
    await Deno.mkdir(state, { recursive: true });
    const own = `version = 3\nroot = "${root}"\nstate = "${state}/state"\n`;
    const grpc = `\n[grpc]\n  address = "${this.socket}"\n`;
    const timeouts = IN_LAB ? LAB_TIMEOUTS : "";
    const text = own + this.#configuration + grpc + timeouts;
    await Deno.writeTextFile(this.configFile, text);
    this.#process = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        `exec "$0" --config ${this.configFile} --log-level debug >>${log} 2>&1`,
        `${programs}containerd`,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await until(`socket of ${name}`, STARTS_WITHIN_MS, async () => {
      try {
        using _ = await Deno.connect({ transport: "unix", path: this.socket });
        return true;
      } catch {
        return null;
      }
    });
  }

  /** Stops it with SIGTERM, as an administrator does; its containers run on. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    this.#process = null;
    process.kill("SIGTERM");
    await process.status;
  }

  /** Starts a `ctr` that talks to it. */
  client(args: readonly string[], input = false): Client {
    return new Client(["--address", this.socket, ...args], {
      input,
      program: `${this.#place.programs}ctr`,
    });
  }

  /** Runs `ctr` until it exits. */
  async ctr(...args: readonly string[]): Promise<Ended> {
    return await this.client(args).ended;
  }

  /** Runs `ctr`, which must exit with 0. Returns its standard output. */
  async ctrOk(...args: readonly string[]): Promise<string> {
    return await this.client(args).output();
  }

  /** Copies an image from the testbed's containerd. */
  async copyImage(image: string, snapshotter: string, namespace = "default"): Promise<void> {
    const archive = `${this.#place.state}/image.tar`;
    const { success, stderr } = await new Deno.Command("ctr", {
      // --local: through containerd, ctr may exit before it has written everything.
      args: ["images", "export", "--local", archive, image],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const command = ["images", "import", "--local", "--snapshotter", snapshotter, archive];
    await this.ctrOk("--namespace", namespace, ...command);
    await Deno.remove(archive);
  }

  /** Runs its garbage collection now; by default it runs after a while. */
  async collectGarbage(namespace = "default"): Promise<void> {
    await this.ctrOk("--namespace", namespace, "leases", "create", "--id", "garbage");
    await this.ctrOk("--namespace", namespace, "leases", "rm", "--sync", "garbage");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Returns the lines of mountinfo about mounts below its directories. */
  mounts(): string[] {
    const { root, state } = this.#place;
    return Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
      .filter((line) => line.includes(root) || line.includes(state));
  }

  /** Removes everything it made, with mounts that a failed test left. It must not be running. */
  async forget(): Promise<void> {
    for (const line of this.mounts()) {
      await new Deno.Command("umount", { args: ["--lazy", line.split(" ")[4]!] }).output();
    }
    for (const directory of [this.#place.root, this.#place.state]) {
      removeIfPresent(directory, { recursive: true });
    }
  }
}
