/**
 * `crictl` as a test drives it: pods and containers as the kubelet has them made. Requests are JSON files
 * in the form of Kubernetes' cri-api, runtime/v1/api.proto.
 */

import assert from "node:assert/strict";
import { CRICTL_PROGRAM } from "../../scripts/lib/crictl.ts";
import { existing } from "../../scripts/lib/paths.ts";
import { BUSYBOX, Client, type Ended } from "./ctr.ts";
import { patience, until } from "./wait.ts";

/** Of one request; a VM that boots under TCG on a busy machine takes a minute. */
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

/** What {@link Crictl.runPod} asks for. */
export interface PodOptions {
  readonly name: string;
  readonly runtime: string;
  /** How often this pod has been made before. */
  readonly attempt?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  /** The sum of its containers', as the kubelet tells it. */
  readonly resources?: Resources;
  readonly hostNetwork?: boolean;
  readonly shareProcessNamespace?: boolean;
}

/** What {@link Pod.createContainer} asks for. */
export interface PodContainerOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly image?: string;
  /** How often this container of the pod has been made before. */
  readonly attempt?: number;
  readonly mounts?: readonly { host: string; container: string; readonly?: boolean }[];
  readonly env?: Readonly<Record<string, string>>;
  readonly resources?: Resources;
}

/** What is known of a container: ContainerStatus of the API. */
export interface ContainerStatus {
  readonly state: "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED";
  readonly exitCode: number;
  /** Completed, Error, OOMKilled; empty while it runs. */
  readonly reason: string;
  readonly startedAt: string;
  readonly resources?: { readonly linux?: { readonly memoryLimitInBytes?: string } };
}

/** A client of one containerd. */
export class Crictl {
  readonly #folder: string;

  /** @param folder for its files and the containers' logs; it need not be removed in between */
  constructor(socket: string, folder: string) {
    this.#folder = folder;
    const endpoint = `unix://${socket}`;
    Deno.writeTextFileSync(
      `${folder}/crictl.yaml`,
      `runtime-endpoint: ${endpoint}\nimage-endpoint: ${endpoint}\ntimeout: ${TIMEOUT_S}\n`,
    );
  }

  /** Runs it to its end. */
  async run(args: readonly string[], input?: string): Promise<Ended> {
    await using client = this.#client(args, input !== undefined);
    if (input !== undefined) {
      await client.write(input);
      await client.endInput();
    }
    return await client.ended;
  }

  /** Runs it; it must end with 0. Returns its standard output. */
  async ok(...args: readonly string[]): Promise<string> {
    await using client = this.#client(args);
    return await client.output();
  }

  #client(args: readonly string[], input = false): Client {
    const all = ["--config", `${this.#folder}/crictl.yaml`, ...args];
    return new Client(all, { program: CRICTL_PROGRAM, input });
  }

  /** @throws Error with what containerd says when there can be no such pod */
  async runPod(options: PodOptions): Promise<Pod> {
    const { name, runtime } = options;
    const config = podConfig(options, `${this.#folder}/logs/${name}`);
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

  /** All pods that containerd knows. */
  async pods(): Promise<string[]> {
    return (await this.ok("pods", "--quiet")).split("\n").filter((id) => id !== "");
  }

  #write(request: unknown): string {
    const file = Deno.makeTempFileSync({ dir: this.#folder, suffix: ".json" });
    Deno.writeTextFileSync(file, JSON.stringify(request));
    return file;
  }
}

/** A pod. */
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

  /** Makes a container in it, as for `containers:` of a pod. */
  async createContainer(options: PodContainerOptions): Promise<PodContainer> {
    const { name, attempt = 0 } = options;
    Deno.mkdirSync(`${this.#config.log_directory}/${name}`, { recursive: true });
    const request = this.#write(containerConfig(options, this.#config, `${name}/${attempt}.log`));
    const id = (await this.#crictl.ok("create", "--no-pull", this.id, request, this.#file)).trim();
    return new PodContainer(this.#crictl, id);
  }

  /** Makes a container in it and starts it. */
  async startContainer(options: PodContainerOptions): Promise<PodContainer> {
    const container = await this.createContainer(options);
    await container.start();
    return container;
  }

  /** Its state, SANDBOX_READY or SANDBOX_NOTREADY, and its address. */
  async status(): Promise<{ state: string; ip: string }> {
    const { status } = JSON.parse(await this.#crictl.ok("inspectp", this.id));
    return { state: status.state, ip: status.network.ip };
  }

  /** PodSandboxStats of the API, as JSON has it. */
  async stats(): Promise<unknown> {
    return JSON.parse(await this.#crictl.ok("statsp", "-o", "json", "--id", this.id)).stats[0];
  }

  /** Ends whatever runs in it, and takes its network away. */
  async stop(): Promise<void> {
    await this.#crictl.ok("stopp", this.id);
  }

  /** It and all its containers; must have been stopped. */
  async remove(): Promise<void> {
    await this.#crictl.ok("rmp", this.id);
    this.removeCgroup();
  }

  /** What the kubelet does after the pod. @throws when it is not empty. */
  removeCgroup(): void {
    removeCgroups(this.#config);
  }
}

/** What the kubelet does before the pod: what is not delegated is not counted there. */
async function makeCgroups(config: PodConfig): Promise<void> {
  if (isUnified()) {
    await Deno.writeTextFile(`${CGROUPS}/cgroup.subtree_control`, "+cpu +memory +pids");
  }
  for (const folder of podCgroups(config)) await Deno.mkdir(folder, { recursive: true });
}

function isUnified(): boolean {
  return existing(`${CGROUPS}/cgroup.controllers`) !== null;
}

function removeCgroups(config: PodConfig): void {
  for (const folder of podCgroups(config)) {
    try {
      Deno.removeSync(folder);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Of a pod, in each hierarchy that the host has. */
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

  /** Runs a command in it by ExecSync, as a probe does; it must end with 0 and complain of nothing. */
  async exec(...command: readonly string[]): Promise<string> {
    const said = await this.#crictl.ok("exec", "--sync", this.id, ...command);
    // crictl ends both streams with a line end of its own.
    if (!said.endsWith("\n\n")) throw new Error(`${command.join(" ")} in ${this.id}: ${said}`);
    return said.slice(0, -2);
  }

  /** As `exec`, for a script that must not end with 0: its status, and what containerd says of it. */
  async execFails(script: string): Promise<{ status: number; message: string }> {
    const args = ["exec", "--sync", this.id, "sh", "-c", script];
    const { code, stdout, stderr } = await this.#crictl.run(args);
    const status = /exited with (\d+)/.exec(stderr)?.[1];
    if (code === 0 || status === undefined) {
      throw new Error(`${script}: ${code} ${stdout}${stderr}`);
    }
    return { status: Number(status), message: stderr };
  }

  /** Runs a script in it by way of a stream server, as `kubectl exec -i` does. */
  async execStream(script: string, input: string): Promise<Ended> {
    return await this.#crictl.run(["exec", "--interactive", this.id, "sh", "-c", script], input);
  }

  /** What it has written, both streams. */
  async logs(): Promise<string> {
    const { code, stdout, stderr } = await this.#crictl.run(["logs", this.id]);
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  }

  async status(): Promise<ContainerStatus> {
    return JSON.parse(await this.#crictl.ok("inspect", this.id)).status;
  }

  /** Waits for its end. */
  async ended(): Promise<ContainerStatus> {
    return await until(`the end of ${this.id}`, patience(60_000), async () => {
      const status = await this.status();
      return status.state === "CONTAINER_EXITED" ? status : null;
    });
  }

  /** ContainerStats of the API, as JSON has it. */
  async stats(): Promise<unknown> {
    return JSON.parse(await this.#crictl.ok("stats", "-o", "json", "--id", this.id)).stats[0];
  }

  async update(flags: readonly string[]): Promise<void> {
    await this.#crictl.ok("update", ...flags, this.id);
  }

  /** SIGTERM, and SIGKILL after that time. */
  async stop(graceSeconds: number): Promise<void> {
    await this.#crictl.ok("stop", "--timeout", String(graceSeconds), this.id);
  }

  async remove(): Promise<void> {
    await this.#crictl.ok("rm", this.id);
  }
}

type PodConfig = ReturnType<typeof podConfig>;

/** PodSandboxConfig of the API. */
function podConfig(options: PodOptions, logFolder: string) {
  const { name, attempt = 0, annotations = {}, resources = {} } = options;
  return {
    metadata: { name, namespace: "default", uid: name, attempt },
    hostname: name,
    log_directory: logFolder,
    dns_config: { servers: ["192.0.2.53"], searches: ["default.svc.test"], options: ["ndots:5"] },
    annotations,
    labels: { "io.kubernetes.pod.name": name },
    linux: {
      // A name that system_state.ts looks for.
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
