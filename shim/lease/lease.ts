import * as z from "zod";
import { processStartTime } from "../../ffi/mod.ts";
import type { Pid } from "../../ffi/mod.ts";
import type { SandboxName, SandboxPaths } from "../base/names.ts";
import type { NetworkFacts } from "./network_facts.ts";

/** A process, told apart from a later one with the same pid by its start time in clock ticks. */
export interface ProcessFact {
  readonly role: string;
  readonly pid: number;
  readonly startTime: string;
}

/**
 * What is known of a sandbox's resources. Written before something is made (intent) and after
 * (facts), so that another process can undo everything from it alone.
 */
export interface LeaseFacts {
  readonly version: 1;
  readonly namespace: string;
  readonly id: string;
  /**
   * containerd's bundle folder of the container that the sandbox is kept for: as long as it is there,
   * containerd knows the task. In a pod that goes on without its first container it is another's.
   */
  readonly bundle: string;
  readonly shim: ProcessFact | null;
  readonly socketPath: string;
  readonly runtimeDir: string;
  /** Lock file of the vsock context id. */
  readonly cidLock: string | null;
  readonly processes: readonly ProcessFact[];
  /** Folders that were made for the host's cgroup of it, the outermost first. */
  readonly cgroups: readonly string[];
  /** null: it has none, or none yet. */
  readonly network: NetworkFacts | null;
  /** The bundle whose hooks for the end are still to be run; null: there are none. */
  readonly hooksOf: string | null;
  /** What was about to be made and is not yet among the facts. */
  readonly intents: readonly string[];
}

const PATH = z.string().startsWith("/");
const PROCESS = z.object({ role: z.string(), pid: z.int().positive(), startTime: z.string() });
/** Whoever undoes a lease kills and removes what it names: a lease must be whole to be believed. */
const FACTS: z.ZodType<LeaseFacts> = z.object({
  version: z.literal(1),
  namespace: z.string().min(1),
  id: z.string().min(1),
  bundle: PATH,
  shim: PROCESS.nullable(),
  socketPath: PATH,
  runtimeDir: PATH,
  cidLock: PATH.nullable(),
  processes: z.array(PROCESS),
  cgroups: z.array(PATH).default([]),
  network: z.object({
    containerId: z.string().min(1),
    netns: PATH,
    storePath: PATH,
    pluginPath: z.array(PATH),
    lockFile: PATH,
  }).nullable().default(null),
  hooksOf: PATH.nullable().default(null),
  intents: z.array(z.string()),
});

const FILE = "lease.json";
const CREATE_TRIES = 8;
const LEASE_BYTES_MAX = 64 * 1024;

/** The lease of a sandbox, owned by the process that made it. */
export class Lease {
  #facts: LeaseFacts;
  readonly #folder: string;

  private constructor(folder: string, facts: LeaseFacts) {
    this.#folder = folder;
    this.#facts = facts;
  }

  /**
   * Makes the lease on disk, readable by root alone.
   * @throws Deno.errors when the folder cannot be written.
   */
  static create(
    paths: SandboxPaths,
    name: SandboxName,
    facts: Pick<LeaseFacts, "bundle" | "socketPath">,
  ): Lease {
    const lease = new Lease(paths.lease, firstFacts(paths, name, facts));
    for (let attempt = 1;; attempt++) {
      try {
        Deno.mkdirSync(paths.lease, { recursive: true, mode: 0o700 });
        lease.#write();
        return lease;
      } catch (error) {
        // Whoever released the last lease of the namespace may just have removed its folder.
        if (!(error instanceof Deno.errors.NotFound) || attempt === CREATE_TRIES) throw error;
      }
    }
  }

  /** Takes over the lease that `start` made. */
  static open(folder: string): Lease {
    const facts = readLease(folder);
    if (facts === null) throw new Error(`no lease in ${folder}`);
    return new Lease(folder, facts);
  }

  get facts(): LeaseFacts {
    return this.#facts;
  }

  /** Says what is about to be made; `record` with facts makes the intent void. */
  intend(what: string): void {
    this.#facts = { ...this.#facts, intents: [...this.#facts.intents, what] };
    this.#write();
  }

  /** Notes what was made, and drops the intent it came from. */
  record(intent: string | null, facts: Partial<LeaseFacts>): void {
    const intents = this.#facts.intents.filter((one) => one !== intent);
    this.#facts = { ...this.#facts, ...facts, intents };
    this.#write();
  }

  /** Notes processes that now run for this sandbox. */
  recordProcesses(intent: string | null, processes: readonly { role: string; pid: Pid }[]): void {
    const facts = processes.flatMap(({ role, pid }) => {
      const startTime = processStartTime(pid);
      return startTime === null ? [] : [{ role, pid, startTime }];
    });
    this.record(intent, { processes: [...this.#facts.processes, ...facts] });
  }

  /** Removes the lease from disk; everything in it must be undone already. */
  release(): void {
    removeLease(this.#folder);
  }

  #write(): void {
    const temporary = `${this.#folder}/.${FILE}`;
    Deno.writeTextFileSync(temporary, JSON.stringify(this.#facts), { mode: 0o600 });
    Deno.renameSync(temporary, `${this.#folder}/${FILE}`);
  }
}

/** What is known of a sandbox before anything of it is made: where things of it will be. */
export function firstFacts(
  paths: SandboxPaths,
  name: SandboxName,
  facts: Pick<LeaseFacts, "bundle" | "socketPath">,
): LeaseFacts {
  return {
    version: 1,
    namespace: name.namespace,
    id: name.id,
    ...facts,
    shim: null,
    runtimeDir: paths.runtime,
    cidLock: null,
    processes: [],
    cgroups: [],
    network: null,
    hooksOf: null,
    intents: [],
  };
}

/** Reads a lease; null when there is none, or none that this version can read. */
export function readLease(folder: string): LeaseFacts | null {
  try {
    const path = `${folder}/${FILE}`;
    if (Deno.statSync(path).size > LEASE_BYTES_MAX) return null;
    return FACTS.safeParse(JSON.parse(Deno.readTextFileSync(path))).data ?? null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Removes a lease's folder, and the namespace's folder above it when it is empty. */
export function removeLease(folder: string): void {
  for (const name of [FILE, `.${FILE}`]) removeIfPresent(`${folder}/${name}`);
  removeIfPresent(folder);
  try {
    Deno.removeSync(folder.slice(0, folder.lastIndexOf("/")));
  } catch {
    // Other sandboxes of the namespace still have theirs.
  }
}

export function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
