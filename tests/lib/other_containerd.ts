/** A containerd beside the testbed's, with everything of its own. */

import { LAB_TIMEOUTS } from "../../scripts/lib/lab_timeouts.ts";
import { existing } from "../../scripts/lib/paths.ts";
import { Client, type Ended } from "./ctr.ts";
import { patience, until } from "./wait.ts";

const STARTS_WITHIN_MS = patience(30_000);

/** Where everything of it is. */
export interface Place {
  /** For errors. */
  readonly name: string;
  /** What lasts, on a file system that overlays and snapshots can be made on. */
  readonly root: string;
  /** Its configuration, its socket, and what goes with the containers. */
  readonly state: string;
  readonly log: string;
  /** Before the names of its programs: a folder with a slash, or nothing for those on PATH. */
  readonly programs: string;
}

/** One that runs, or that can be started again. Disposing it ends it. */
export class OtherContainerd implements AsyncDisposable {
  readonly socket: string;
  readonly configFile: string;
  readonly #place: Place;
  readonly #configuration: string;
  #process: Deno.ChildProcess | null = null;

  /** @param configuration in TOML, version 3, but for where its own things are. */
  constructor(place: Place, configuration: string) {
    this.#place = place;
    this.#configuration = configuration;
    this.socket = `${place.state}/containerd.sock`;
    this.configFile = `${place.state}/config.toml`;
  }

  /** Starts it; resolves when it listens, which is when its plugins are loaded. */
  async start(): Promise<void> {
    const { name, root, state, log, programs } = this.#place;
    await Deno.mkdir(state, { recursive: true });
    const own = `version = 3\nroot = "${root}"\nstate = "${state}/state"\n`;
    const grpc = `\n[grpc]\n  address = "${this.socket}"\n`;
    const timeouts = Deno.env.get("QEMUBOX_LAB") === "1" ? LAB_TIMEOUTS : "";
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
    await until(`${name} listens`, STARTS_WITHIN_MS, async () => {
      try {
        using _ = await Deno.connect({ transport: "unix", path: this.socket });
        return true;
      } catch {
        return null;
      }
    });
  }

  /** Ends it, as an administrator does; its containers run on. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    this.#process = null;
    process.kill("SIGTERM");
    await process.status;
  }

  /** A `ctr` of it that runs. */
  client(args: readonly string[], input = false): Client {
    return new Client(["--address", this.socket, ...args], {
      input,
      program: `${this.#place.programs}ctr`,
    });
  }

  /** Runs `ctr` to its end. */
  async ctr(...args: readonly string[]): Promise<Ended> {
    return await this.client(args).ended;
  }

  /** Runs `ctr`, which must end with 0; returns its standard output. */
  async ctrOk(...args: readonly string[]): Promise<string> {
    return await this.client(args).output();
  }

  /** Gives it an image that the testbed's containerd has. */
  async copyImage(image: string, snapshotter: string, namespace = "default"): Promise<void> {
    const archive = `${this.#place.state}/image.tar`;
    const { success, stderr } = await new Deno.Command("ctr", {
      // By itself: with containerd's help it may end before it has written all of it.
      args: ["images", "export", "--local", archive, image],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const command = ["images", "import", "--local", "--snapshotter", snapshotter, archive];
    await this.ctrOk("--namespace", namespace, ...command);
    await Deno.remove(archive);
  }

  /** It removes what belongs to nobody by and by; or when told to, like this. */
  async collectGarbage(namespace = "default"): Promise<void> {
    await this.ctrOk("--namespace", namespace, "leases", "create", "--id", "garbage");
    await this.ctrOk("--namespace", namespace, "leases", "rm", "--sync", "garbage");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** What is mounted below its folders. */
  mounts(): string[] {
    const { root, state } = this.#place;
    return Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
      .filter((line) => line.includes(root) || line.includes(state));
  }

  /** Removes all that it has made, also what a test that failed has left mounted. It must not run. */
  async forget(): Promise<void> {
    for (const line of this.mounts()) {
      await new Deno.Command("umount", { args: ["--lazy", line.split(" ")[4]!] }).output();
    }
    for (const folder of [this.#place.root, this.#place.state]) {
      if (existing(folder) !== null) await Deno.remove(folder, { recursive: true });
    }
  }
}
