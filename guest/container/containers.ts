import { quoted } from "../../base/mod.ts";
import { type ExitStatus, type Poller, type System } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { checkedContainerId } from "../base/ids.ts";
import { type Reaper } from "../base/reaper.ts";
import { type Cgroups } from "../cgroup/cgroup.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";
import { type Crun } from "../runtime/crun.ts";
import { openStdio } from "../stdio/open_stdio.ts";
import { type StdioIds } from "../stdio/process_stdio.ts";
import { type StreamRegistry } from "../stdio/stream_registry.ts";
import { Container, type ContainerObserver } from "./container.ts";
import { NewInit, RestoredInit } from "./init_birth.ts";

/** All containers, by id. */
export class Containers {
  readonly #deps: ContainersDeps;
  readonly #containers = new Map<string, Container>();

  constructor(deps: ContainersDeps) {
    this.#deps = deps;
  }

  /**
   * Creates a container, from `checkpoint` unless that is empty. Its id is taken and its streams
   * can be dialed from now on, until it is deleted or the create fails.
   *
   * @throws {RpcError} AlreadyExists, InvalidArgument, or crun's error
   */
  async create(
    id: string,
    bundle: string,
    ids: StdioIds,
    checkpoint: string = "",
  ): Promise<Container> {
    checkedContainerId(id);
    if (this.#containers.has(id)) {
      throw new RpcError(Code.AlreadyExists, `container ${quoted(id)} already exists`);
    }
    const { crun } = this.#deps;
    const stdio = openStdio(this.#deps, ids, () => crun.consolePath());
    const birth = checkpoint === "" ? new NewInit(crun) : new RestoredInit(this.#deps, checkpoint);
    const container = new Container({ ...this.#deps, id, bundle, ids, stdio, birth });
    this.#containers.set(id, container);
    try {
      await container.create();
    } catch (error) {
      this.#containers.delete(id);
      throw error;
    }
    return container;
  }

  /** @throws {RpcError} NotFound */
  get(id: string): Container {
    const container = this.#containers.get(id);
    if (container === undefined) throw new RpcError(Code.NotFound, `no container ${quoted(id)}`);
    return container;
  }

  /** @throws {RpcError} NotFound, FailedPrecondition, or crun's error */
  async delete(id: string): Promise<{ process: Container; exit: ExitStatus }> {
    const process = this.get(id);
    const exit = await process.delete();
    this.#containers.delete(id);
    return { process, exit };
  }

  /** Returns whether a container was made from `bundle`. */
  usesBundle(bundle: string): boolean {
    return [...this.#containers.values()].some((container) => container.bundle === bundle);
  }
}

/** What containers need from the rest of vminitd. */
export interface ContainersDeps {
  readonly system: System;
  readonly poller: Poller;
  readonly reaper: Reaper;
  readonly streams: StreamRegistry;
  readonly crun: Crun;
  readonly cgroups: Cgroups;
  readonly checkpoints: Checkpoints;
  /** See container.ts. */
  readonly flush: (bundle: string) => Promise<void>;
  readonly observer: ContainerObserver;
}
