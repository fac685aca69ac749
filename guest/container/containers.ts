import { type ExitStatus, type Poller, type System } from "../../ffi/mod.ts";
import { Code, RpcError } from "../../proto/mod.ts";
import { type Cgroups } from "../cgroup/cgroup.ts";
import { Container, type ContainerObserver } from "./container.ts";
import { type Checkpoints } from "../runtime/checkpoints.ts";
import { type Crun } from "../runtime/crun.ts";
import { checkedContainerId, quoted } from "../base/ids.ts";
import { NewInit, RestoredInit } from "./init_birth.ts";
import { openStdio } from "../stdio/open_stdio.ts";
import type { StdioIds } from "../stdio/process_stdio.ts";
import { type Reaper } from "../base/reaper.ts";
import { type StreamRegistry } from "../stdio/stream_registry.ts";

/** What containers need from the rest of vminitd. */
export interface ContainersDependencies {
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

/** The containers that there are, by id. */
export class Containers {
  readonly #dependencies: ContainersDependencies;
  readonly #containers = new Map<string, Container>();

  constructor(dependencies: ContainersDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Creates a container, out of `checkpoint` unless that is empty. Its streams can be dialed from now on, its id is taken from now on; both end
   * when it fails.
   *
   * @throws {RpcError} AlreadyExists, InvalidArgument, what crun says
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
    const stdio = openStdio(this.#dependencies, ids, () => this.#dependencies.crun.consolePath());
    const birth = checkpoint === ""
      ? new NewInit(this.#dependencies.crun)
      : new RestoredInit(this.#dependencies, checkpoint);
    const container = new Container({ ...this.#dependencies, id, bundle, ids, stdio, birth });
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

  /** @throws {RpcError} NotFound, FailedPrecondition, what crun says */
  async delete(id: string): Promise<{ process: Container; exit: ExitStatus }> {
    const process = this.get(id);
    const exit = await process.delete();
    this.#containers.delete(id);
    return { process, exit };
  }

  /** Whether a container was made from `bundle`. */
  usesBundle(bundle: string): boolean {
    return [...this.#containers.values()].some((container) => container.bundle === bundle);
  }
}
