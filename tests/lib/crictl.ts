/**
 * Drives `crictl`: pods and containers, made as the kubelet makes them. Requests are JSON files in
 * the form of Kubernetes' cri-api, runtime/v1/api.proto.
 */

import assert from "node:assert/strict";
import { isThere, removeIfPresent } from "../../base/mod.ts";
import { CRICTL_PROGRAM } from "../../scripts/lib/crictl.ts";
import { BUSYBOX, Client, type Ended } from "./ctr.ts";
import { patience, until } from "./wait.ts";

/** Timeout of a request; a VM that boots under TCG on a busy machine takes a minute. */
const TIMEOUT_S = patience(110_000) / 1000;
const CGROUPS = "/sys/fs/cgroup";
/** NamespaceMode of the API. */
const MODE = { pod: 0, container: 1, node: 2 } as const;

/** LinuxContainerResources of the API. */
export interface Resources {
  readonly memory_limit_in_bytes?: number;
  readonly cpu_period?: number;
  readonly cpu_quota?: number;
  readonly cpu_shares?: number;
}

/** Options of {@link Crictl.runPod}. */
export interface PodOptions {
  readonly name: string;
  readonly runtime: string;
  /** How many times this pod has been made before. */
  readonly attempt?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The sum of its containers' resources, as the kubelet reports it. */
  readonly resources?: Resources;
  readonly hostNetwork?: boolean;
  readonly shareProcessNamespace?: boolean;
}

/** Options of {@link Pod.createContainer}. */
export interface PodContainerOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly image?: string;
  /** How many times this container of the pod has been made before. */
  readonly attempt?: number;
  readonly mounts?: readonly { host: string; container: string; readonly?: boolean }[];
  readonly env?: Readonly<Record<string, string>>;
  readonly resources?: Resources;
}

/** State of a container: ContainerStatus of the API. */
export interface ContainerStatus {
  readonly state: "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED";
  readonly exitCode: number;
  /** Completed, Error or OOMKilled; empty while it runs. */
  readonly reason: string;
  readonly startedAt: string;
  readonly resources?: { readonly linux?: { readonly memoryLimitInBytes?: string } };
}

/** A client of a containerd with CRI. */
export class Crictl {
  readonly #directory: string;

  /** @param directory for its files and the containers' logs, kept while it is in use */
  constructor(socket: string, directory: string) {
    this.#directory = directory;
    const endpoint = `unix://${socket}`;
    Deno.writeTextFileSync(
      `${directory}/crictl.yaml`,
      `runtime-endpoint: ${endpoint}\nimage-endpoint: ${endpoint}\ntimeout: ${TIMEOUT_S}\n`,
    );
  }

  /** Runs crictl until it exits. */
  async run(args: readonly string[], input?: string): Promise<Ended> {
    await using client = this.#client(args, input !== undefined);
    if (input !== undefined) {
      await client.write(input);
      await client.endInput();
    }
    return await client.ended;
  }

  /** Runs crictl, which must exit with 0. Returns its standard output. */
  async ok(...args: readonly string[]): Promise<string> {
    await using client = this.#client(args);
    return await client.output();
  }

  #client(args: readonly string[], input = false): Client {
    const all = ["--config", `${this.#directory}/crictl.yaml`, ...args];
    return new Client(all, { program: CRICTL_PROGRAM, input });
  }

  /** Runs a pod. @throws {Error} with containerd's message, if it cannot. */
  async runPod(options: PodOptions): Promise<Pod> {
    const { name, runtime } = options;
    const config = podConfig(options, `${this.#directory}/logs/${name}`);
    await Deno.mkdir(config.log_directory, { recursive: true });
    await makeCgroups(config);
    const file = this.#write(config);
    try {
      const id = (await this.ok("runp", "--runtime", runtime, file)).trim();
      return new Pod(this, id, config, file, (request) => this.#write(request));
    } catch (error) {
      removeCgroups(config);
      throw error;
    }
  }

  /** Returns the ids of all pods that containerd knows. */
  async pods(): Promise<string[]> {
    return (await this.ok("pods", "--quiet")).split("\n").filter((id) => id !== "");
  }

  #write(request: unknown): string {
    const file = Deno.makeTempFileSync({ dir: this.#directory, suffix: ".json" });
    Deno.writeTextFileSync(file, JSON.stringify(request));
    return file;
  }
}

/** A pod that was run. */
export class Pod {
  readonly #crictl: Crictl;
  readonly #config: PodConfig;
  readonly #file: string;
  readonly #write: (request: unknown) => string;

  constructor(
    crictl: Crictl,
    readonly id: string,
    config: PodConfig,
    file: string,
    write: (request: unknown) => string,
  ) {
    this.#crictl = crictl;
    this.#config = config;
    this.#file = file;
    this.#write = write;
  }

  /** Creates a container in the pod, as for `containers:` of a pod's manifest. */
  async createContainer(options: PodContainerOptions): Promise<PodContainer> {
    const { name, attempt = 0 } = options;
    Deno.mkdirSync(`${this.#config.log_directory}/${name}`, { recursive: true });
    const request = this.#write(containerConfig(options, this.#config, `${name}/${attempt}.log`));
    const id = (await this.#crictl.ok("create", "--no-pull", this.id, request, this.#file)).trim();
    return new PodContainer(this.#crictl, id);
  }

  /** Creates a container in the pod and starts it. */
  async startContainer(options: PodContainerOptions): Promise<PodContainer> {
    const container = await this.createContainer(options);
    await container.start();
    return container;
  }

  /** Returns its state, SANDBOX_READY or SANDBOX_NOTREADY, and its address. */
  async status(): Promise<{ state: string; ip: string }> {
    const { status } = JSON.parse(await this.#crictl.ok("inspectp", this.id));
    return { state: status.state, ip: status.network.ip };
  }

  /** Returns PodSandboxStats of the API, as JSON. */
  async stats(): Promise<unknown> {
    return JSON.parse(await this.#crictl.ok("statsp", "-o", "json", "--id", this.id)).stats[0];
  }

  /** Stops whatever runs in it, and removes its network. */
  async stop(): Promise<void> {
    await this.#crictl.ok("stopp", this.id);
  }

  /** Removes the stopped pod and all its containers. */
  async remove(): Promise<void> {
    await this.#crictl.ok("rmp", this.id);
    this.removeCgroup();
  }

  /** Removes its cgroup, as the kubelet does after the pod. @throws if the cgroup is not empty. */
  removeCgroup(): void {
    removeCgroups(this.#config);
  }
}

/** Makes the pod's cgroups, as the kubelet does first: a controller must be delegated to count. */
async function makeCgroups(config: PodConfig): Promise<void> {
  if (isUnified()) {
    await Deno.writeTextFile(`${CGROUPS}/cgroup.subtree_control`, "+cpu +memory +pids");
  }
  for (const directory of podCgroups(config)) await Deno.mkdir(directory, { recursive: true });
}

function isUnified(): boolean {
  return isThere(`${CGROUPS}/cgroup.controllers`);
}

function removeCgroups(config: PodConfig): void {
  for (const directory of podCgroups(config)) {
    removeIfPresent(directory);
  }
}

/** Returns a pod's cgroup directories, one in each hierarchy that the host has. */
function podCgroups({ linux }: PodConfig): string[] {
  const hierarchies = [...Deno.readDirSync(CGROUPS)].filter(({ isDirectory }) => isDirectory);
  const roots = isUnified() ? [CGROUPS] : hierarchies.map(({ name }) => `${CGROUPS}/${name}`);
  return roots.map((root) => `${root}${linux.cgroup_parent}`);
}

/** A container of a pod. */
export class PodContainer {
  readonly #crictl: Crictl;

  constructor(crictl: Crictl, readonly id: string) {
    this.#crictl = crictl;
  }

  async start(): Promise<void> {
    await this.#crictl.ok("start", this.id);
  }

  /** Runs a command by ExecSync, as a probe does; it must exit with 0 and print no errors. */
  async exec(...command: readonly string[]): Promise<string> {
    const said = await this.#crictl.ok("exec", "--sync", this.id, ...command);
    // crictl appends a newline to each of the two streams.
    if (!said.endsWith("\n\n")) throw new Error(`${command.join(" ")} in ${this.id}: ${said}`);
    return said.slice(0, -2);
  }

  /** Runs a script by ExecSync that must fail. Returns its status and containerd's message. */
  async execFails(script: string): Promise<{ status: number; message: string }> {
    const args = ["exec", "--sync", this.id, "sh", "-c", script];
    const { code, stdout, stderr } = await this.#crictl.run(args);
    const status = /exited with (\d+)/.exec(stderr)?.[1];
    if (code === 0 || status === undefined) {
      throw new Error(`${script}: ${code} ${stdout}${stderr}`);
    }
    return { status: Number(status), message: stderr };
  }

  /** Runs a script through a streaming server, as `kubectl exec -i` does. */
  async execStream(script: string, input: string): Promise<Ended> {
    return await this.#crictl.run(["exec", "--interactive", this.id, "sh", "-c", script], input);
  }

  /** Returns what it has written to both streams. */
  async logs(): Promise<string> {
    const { code, stdout, stderr } = await this.#crictl.run(["logs", this.id]);
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  }

  async status(): Promise<ContainerStatus> {
    return JSON.parse(await this.#crictl.ok("inspect", this.id)).status;
  }

  /** Waits until it has exited. */
  async ended(): Promise<ContainerStatus> {
    return await until(`exit of ${this.id}`, patience(60_000), async () => {
      const status = await this.status();
      return status.state === "CONTAINER_EXITED" ? status : null;
    });
  }

  /** Returns ContainerStats of the API, as JSON. */
  async stats(): Promise<unknown> {
    return JSON.parse(await this.#crictl.ok("stats", "-o", "json", "--id", this.id)).stats[0];
  }

  async update(flags: readonly string[]): Promise<void> {
    await this.#crictl.ok("update", ...flags, this.id);
  }

  /** Sends SIGTERM, and SIGKILL after `graceSeconds`. */
  async stop(graceSeconds: number): Promise<void> {
    await this.#crictl.ok("stop", "--timeout", String(graceSeconds), this.id);
  }

  async remove(): Promise<void> {
    await this.#crictl.ok("rm", this.id);
  }
}

type PodConfig = ReturnType<typeof podConfig>;

/** PodSandboxConfig of the API. */
function podConfig(options: PodOptions, logDirectory: string) {
  const { name, attempt = 0, annotations = {}, resources = {} } = options;
  return {
    metadata: { name, namespace: "default", uid: name, attempt },
    hostname: name,
    log_directory: logDirectory,
    dns_config: { servers: ["192.0.2.53"], searches: ["default.svc.test"], options: ["ndots:5"] },
    annotations,
    labels: { "io.kubernetes.pod.name": name },
    linux: {
      // system_state.ts looks for this name.
      cgroup_parent: `/e2e-pods-${name}-${attempt}`,
      resources,
      security_context: {
        namespace_options: {
          network: options.hostNetwork === true ? MODE.node : MODE.pod,
          pid: options.shareProcessNamespace === true ? MODE.pod : MODE.container,
          ipc: MODE.pod,
        },
      },
    },
  };
}

/** ContainerConfig of the API. */
function containerConfig(options: PodContainerOptions, pod: PodConfig, logPath: string) {
  const { name, command, attempt = 0, image = BUSYBOX, mounts = [], env = {} } = options;
  return {
    metadata: { name, attempt },
    image: { image },
    command,
    envs: Object.entries(env).map(([key, value]) => ({ key, value })),
    mounts: mounts.map(({ host, container, readonly = false }) => ({
      host_path: host,
      container_path: container,
      readonly,
    })),
    log_path: logPath,
    linux: {
      resources: options.resources ?? {},
      security_context: { namespace_options: pod.linux.security_context.namespace_options },
    },
  };
}
