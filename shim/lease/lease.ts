import * as z from "zod";
import { ifPresent, readIfPresent, removeIfPresent } from "../../base/mod.ts";
import { type Pid, processStartTime } from "../../ffi/mod.ts";
import type { SandboxName, SandboxPaths } from "../base/names.ts";
import { unwritable } from "../base/unwritable.ts";
import type { NetworkFacts } from "./network_facts.ts";

/** The lease of a sandbox, owned by the process that made it. */
export class Lease {
  #facts: LeaseFacts;
  readonly #directory: string;

  private constructor(directory: string, facts: LeaseFacts) {
    this.#directory = directory;
    this.#facts = facts;
  }

  /**
   * Makes the lease on disk, readable by root alone. Leaves nothing if that fails.
   *
   * @throws {RefusedError} `host` if the directory cannot be written.
   */
  static create(
    paths: SandboxPaths,
    name: SandboxName,
    facts: Pick<LeaseFacts, "bundle" | "socketPath">,
  ): Lease {
    const lease = new Lease(paths.lease, firstFacts(paths, name, facts));
    for (let attempt = 1;; attempt++) {
      try {
        writing(paths.lease, () => Deno.mkdirSync(paths.lease, { recursive: true, mode: 0o700 }));
        lease.#write();
        return lease;
      } catch (error) {
        removeUnwritten(paths.lease);
        const { cause } = error as Error;
        // The process that released the namespace's last lease may just have removed its directory.
        if (!(cause instanceof Deno.errors.NotFound) || attempt === CREATE_TRIES) throw error;
      }
    }
  }

  /**
   * Takes over the lease that `start` made.
   *
   * @throws {Error} if there is no valid lease.
   */
  static open(directory: string): Lease {
    const facts = readLease(directory);
    if (facts === null) throw new Error(`no valid lease in ${directory}`);
    return new Lease(directory, facts);
  }

  get facts(): LeaseFacts {
    return this.#facts;
  }

  /**
   * Writes down a resource that is about to be made, until `record` drops the intent.
   *
   * @throws {RefusedError} `host` if the directory cannot be written.
   */
  intend(intent: string): void {
    this.#facts = { ...this.#facts, intents: [...this.#facts.intents, intent] };
    this.#write();
  }

  /** Writes down facts and drops the intent that they came from. */
  record(intent: string | null, facts: Partial<LeaseFacts>): void {
    const intents = this.#facts.intents.filter((one) => one !== intent);
    this.#facts = { ...this.#facts, ...facts, intents };
    this.#write();
  }

  /** Writes down processes that run for this sandbox, except those that have exited already. */
  recordProcesses(intent: string | null, processes: readonly { role: string; pid: Pid }[]): void {
    const facts = processes.flatMap(({ role, pid }) => {
      const startTime = processStartTime(pid);
      return startTime === null ? [] : [{ role, pid, startTime }];
    });
    this.record(intent, { processes: [...this.#facts.processes, ...facts] });
  }

  /** Removes the lease from disk. Everything in it must be undone already. */
  release(): void {
    removeLease(this.#directory);
  }

  #write(): void {
    const temporary = `${this.#directory}/.${FILE}`;
    writing(this.#directory, () => {
      Deno.writeTextFileSync(temporary, JSON.stringify(this.#facts), { mode: 0o600 });
      Deno.renameSync(temporary, `${this.#directory}/${FILE}`);
    });
  }
}

/** A process. Its start time in clock ticks differs from that of a later one with the same pid. */
export interface ProcessFact {
  readonly role: string;
  readonly pid: number;
  readonly startTime: string;
}

/**
 * Resources of a sandbox. Written before something is made (intent) and after (facts), so that
 * another process can undo everything from the lease alone.
 */
export interface LeaseFacts {
  readonly version: 1;
  readonly namespace: string;
  readonly id: string;
  /**
   * containerd's bundle directory of the container that the sandbox is kept for: while it exists,
   * containerd knows the task. In a pod that outlives its first container it is another's.
   */
  readonly bundle: string;
  readonly shim: ProcessFact | null;
  readonly socketPath: string;
  readonly runtimeDir: string;
  /** Lock file of the vsock context id. */
  readonly cidLock: string | null;
  /** Lock file of the user id of QEMU. */
  readonly userLock: string | null;
  readonly processes: readonly ProcessFact[];
  /** Directories made for its cgroup on the host, outermost first. */
  readonly cgroups: readonly string[];
  /** null if it has no network (yet). */
  readonly network: NetworkFacts | null;
  /** Bundle whose poststop hooks are still to be run; null if there are none. */
  readonly hooksOf: string | null;
  /** Resources that are about to be made and are not among the facts yet. */
  readonly intents: readonly string[];
}

const PATH = z.string().startsWith("/");
const PROCESS = z.object({ role: z.string(), pid: z.int().positive(), startTime: z.string() });
/** Undoing a lease kills and removes everything that it names, so only a complete one is valid. */
const FACTS: z.ZodType<LeaseFacts> = z.object({
  version: z.literal(1),
  namespace: z.string().min(1),
  id: z.string().min(1),
  bundle: PATH,
  shim: PROCESS.nullable(),
  socketPath: PATH,
  runtimeDir: PATH,
  cidLock: PATH.nullable(),
  userLock: PATH.nullable().default(null),
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

/** Returns the facts of a sandbox before any of its resources is made: their paths. */
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
    userLock: null,
    processes: [],
    cgroups: [],
    network: null,
    hooksOf: null,
    intents: [],
  };
}

/** Runs a write. @throws {RefusedError} `host` naming the lease's directory */
function writing(directory: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw unwritable(`lease directory ${directory}`, "run_dir", error);
  }
}

/** Removes what a failed `create` made, but not the lease that a dead shim of this id left. */
function removeUnwritten(directory: string): void {
  try {
    removeFrom(directory, [`.${FILE}`]);
  } catch {
    // There is another lease in it.
  }
}

/** Reads a lease; returns null if there is none, or none that is valid for this version. */
export function readLease(directory: string): LeaseFacts | null {
  const path = `${directory}/${FILE}`;
  if ((ifPresent(() => Deno.statSync(path))?.size ?? 0) > LEASE_BYTES_MAX) return null;
  const text = readIfPresent(path);
  return text === null ? null : parseLease(text);
}

function parseLease(text: string): LeaseFacts | null {
  try {
    return FACTS.safeParse(JSON.parse(text)).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Removes a lease's directory, and the namespace's directory above it if that is empty. */
export function removeLease(directory: string): void {
  removeFrom(directory, [FILE, `.${FILE}`]);
}

/** Removes files, the directory, and the one above it if that is empty. @throws if files stay */
function removeFrom(directory: string, names: readonly string[]): void {
  for (const name of names) removeIfPresent(`${directory}/${name}`);
  removeIfPresent(directory);
  try {
    Deno.removeSync(directory.slice(0, directory.lastIndexOf("/")));
  } catch {
    // Other sandboxes of the namespace still have leases.
  }
}
