import { encodeOciJson } from "../../proto/mod.ts";
import { type Reaper } from "../base/reaper.ts";
import { notedFlags } from "../runtime/checkpoint_options.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";
import { type Crun, type CrunStdio } from "../runtime/crun.ts";
import { type JsonObject, parseOciObject } from "../runtime/oci_json.ts";
import { unpackWritable } from "../runtime/writable_layer.ts";

/** How the init process of one container is created and started. */
export interface InitBirth {
  /**
   * Does everything that precedes the start.
   *
   * @returns the init's pid, to be claimed from a nursery opened before the call; null if start
   *   creates the init
   * @throws {RpcError} crun's error
   */
  create(id: string, bundle: string, stdio: CrunStdio): Promise<number | null>;
  /**
   * Lets the init run.
   *
   * @returns the init's pid if create returned null, to be claimed like there; otherwise null
   * @throws {RpcError} crun's error
   */
  start(id: string, bundle: string, stdio: CrunStdio): Promise<number | null>;
}

/** A new init: crun creates it, and it waits to be started. */
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

/** The parts of vminitd that a restore uses. */
export interface RestoredInitDeps {
  readonly crun: Crun;
  readonly reaper: Reaper;
  readonly checkpoints: Checkpoints;
}

/** An init from a checkpoint. CRIU cannot make it wait: start creates it, and it runs at once. */
export class RestoredInit implements InitBirth {
  readonly #deps: RestoredInitDeps;
  readonly #name: string;

  /** @param name the checkpoint's, which is deleted after the restore */
  constructor(deps: RestoredInitDeps, name: string) {
    this.#deps = deps;
    this.#name = name;
  }

  async create(_id: string, bundle: string): Promise<null> {
    const { checkpoints, reaper } = this.#deps;
    makeSourcesAbsolute(bundle);
    await unpackWritable(reaper, bundle, checkpoints.pathOf(this.#name));
    return null;
  }

  async start(id: string, bundle: string, stdio: CrunStdio): Promise<number> {
    const { checkpoints, crun } = this.#deps;
    const directory = checkpoints.pathOf(this.#name);
    const pid = await crun.restore(id, bundle, { directory, flags: notedFlags(directory) }, stdio);
    checkpoints.delete(this.#name);
    return pid;
  }
}

/**
 * Makes the sources of bind mounts in config.json absolute: crun resolves a relative one from the
 * bundle, but passes it on to CRIU, which resolves it from the directory of its files.
 */
function makeSourcesAbsolute(bundle: string): void {
  const path = `${bundle}/config.json`;
  const config = parseOciObject(Deno.readFileSync(path), "config.json");
  const mounts = (config["mounts"] as JsonObject[] | undefined)?.map((mount) => {
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
  Deno.writeFileSync(path, encodeOciJson({ ...config, mounts }), { mode: 0o600 });
}
