import { notedFlags } from "../runtime/checkpoint_options.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";
import { type Crun, type CrunStdio } from "../runtime/crun.ts";
import { type Reaper } from "../base/reaper.ts";
import { type JsonObject } from "../runtime/oci_json.ts";
import { unpackWritable } from "../runtime/writable_layer.ts";

/** How the init process of one container comes to be. */
export interface InitBirth {
  /**
   * Makes all that goes before the start.
   *
   * @returns the init's pid, to be claimed from a nursery opened before; null: there is none yet
   * @throws {RpcError} what crun says
   */
  create(id: string, bundle: string, stdio: CrunStdio): Promise<number | null>;
  /**
   * Lets it run.
   *
   * @returns its pid where create gave none, to be claimed as there; else null
   * @throws {RpcError} what crun says
   */
  start(id: string, bundle: string, stdio: CrunStdio): Promise<number | null>;
}

/** A new one: crun makes it, up to the point where it waits to be started. */
export class NewInit implements InitBirth {
  readonly #crun: Crun;

  constructor(crun: Crun) {
    this.#crun = crun;
  }

  create(id: string, bundle: string, stdio: CrunStdio): Promise<number> {
    return this.#crun.create(id, bundle, stdio);
  }

  async start(id: string): Promise<null> {
    await this.#crun.start(id);
    return null;
  }
}

/** One out of a checkpoint. CRIU knows no waiting: it comes to be, and runs, with the start. */
export class RestoredInit implements InitBirth {
  readonly #crun: Crun;
  readonly #reaper: Reaper;
  readonly #checkpoints: Checkpoints;
  readonly #name: string;

  /** @param name of the checkpoint, which is removed once it was restored */
  constructor(
    { crun, reaper, checkpoints }: {
      readonly crun: Crun;
      readonly reaper: Reaper;
      readonly checkpoints: Checkpoints;
    },
    name: string,
  ) {
    this.#crun = crun;
    this.#reaper = reaper;
    this.#checkpoints = checkpoints;
    this.#name = name;
  }

  async create(_id: string, bundle: string): Promise<null> {
    nameSources(bundle);
    await unpackWritable(this.#reaper, bundle, this.#checkpoints.pathOf(this.#name));
    return null;
  }

  async start(id: string, bundle: string, stdio: CrunStdio): Promise<number> {
    const folder = this.#checkpoints.pathOf(this.#name);
    const pid = await this.#crun.restore(id, bundle, { folder, flags: notedFlags(folder) }, stdio);
    this.#checkpoints.delete(this.#name);
    return pid;
  }
}

/**
 * Makes the sources of bind mounts absolute: crun takes a relative one from the bundle, CRIU, to which it
 * passes them on, from the folder of its files.
 */
function nameSources(bundle: string): void {
  const path = `${bundle}/config.json`;
  const config = JSON.parse(Deno.readTextFileSync(path)) as { mounts?: JsonObject[] };
  const mounts = config.mounts?.map((mount) => {
    const { source, type, options } = mount as {
      source?: string;
      type?: string;
      options?: string[];
    };
    const isBind = type === "bind" || options?.some((option) => /^r?bind$/.test(option));
    return !isBind || source === undefined || source.startsWith("/")
      ? mount
      : { ...mount, source: `${bundle}/${source}` };
  });
  Deno.writeTextFileSync(path, JSON.stringify({ ...config, mounts }), { mode: 0o600 });
}
