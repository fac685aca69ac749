import { MNT, MS, type System } from "../../ffi/mod.ts";
import { Code, type guest, RpcError } from "../../proto/mod.ts";
import { BUNDLES_FOLDER, planBundle } from "./bundle_plan.ts";
import type { BundlePlan, BundleStep } from "./bundle_step.ts";
import { type Console, describe } from "../base/console.ts";
import { type DeviceNumbers } from "./block_limits.ts";
import { diskBySerial, ownDisks } from "./disks.ts";
import { quoted } from "../base/ids.ts";

/** The bundles that there are: their folders under `root`, and what is mounted in them. */
export class Bundles {
  readonly #system: System;
  readonly #console: Console;
  readonly #root: string;
  readonly #diskOf: (serial: string) => string | null;
  readonly #ownDisks: () => readonly DeviceNumbers[];
  readonly #bundles = new Map<string, BundlePlan>();
  /** Where each virtio-fs is mounted, by its tag. */
  readonly #shares = new Map<string, Set<string>>();

  constructor(
    system: System,
    console: Console,
    root: string = BUNDLES_FOLDER,
    diskOf: (serial: string) => string | null = diskBySerial,
    ownDisksOf: () => readonly DeviceNumbers[] = ownDisks,
  ) {
    this.#system = system;
    this.#console = console;
    this.#root = root;
    this.#diskOf = diskOf;
    this.#ownDisks = ownDisksOf;
  }

  /**
   * Makes a bundle and returns its path. A failure leaves nothing behind. Synchronous: no second call
   * sees half a bundle.
   *
   * @throws {RpcError} InvalidArgument, AlreadyExists, Internal naming the step that failed
   */
  create(request: guest.CreateBundleRequest): string {
    const plan = planBundle(request, this.#root, this.#diskOf, this.#ownDisks);
    if (this.#bundles.has(plan.id)) {
      throw new RpcError(Code.AlreadyExists, `bundle ${quoted(plan.id)} already exists`);
    }
    Deno.mkdirSync(this.#root, { recursive: true, mode: 0o711 });
    let done = 0;
    try {
      for (; done < plan.steps.length; done++) this.#execute(plan.steps[done] as BundleStep);
    } catch (error) {
      this.#undo(plan, done);
      throw new RpcError(
        Code.Internal,
        `bundle ${quoted(plan.id)}: ${stepName(plan.steps[done] as BundleStep)}: ${
          describe(error)
        }`,
      );
    }
    this.#bundles.set(plan.id, plan);
    return plan.path;
  }

  /** The path of bundle `id`, null when there is none. */
  pathOf(id: string): string | null {
    return this.#bundles.get(id)?.path ?? null;
  }

  /** Whether {@linkcode Bundles.create} returned `path` and it was not deleted. */
  has(path: string): boolean {
    return [...this.#bundles.values()].some((plan) => plan.path === path);
  }

  /**
   * Undoes a bundle. All of it is tried. What it has of a disk that others have a part of is removed
   * beside all other work: it may be a million files.
   *
   * @throws {RpcError} NotFound
   */
  async delete(id: string): Promise<void> {
    const plan = this.#bundles.get(id);
    if (plan === undefined) throw new RpcError(Code.NotFound, `no bundle ${quoted(id)}`);
    this.#bundles.delete(id);
    const { steps } = plan;
    const scratch = steps.findIndex((step) => step.do === "scratch");
    for (const step of steps.slice(scratch + 1).reverse()) this.#undoStep(step);
    if (scratch < 0) return this.#removeFolder(plan);
    await this.#removeScratch((steps[scratch] as ScratchStep).path);
    this.#undo(plan, scratch);
  }

  /**
   * What the container of the bundle at `path` has written is on the disk that outlives it, if it has
   * one. Nothing to do when there is no such bundle.
   *
   * @throws {SystemError}
   */
  async flush(path: string): Promise<void> {
    for (const plan of this.#bundles.values()) {
      if (plan.path === path && plan.snapshot !== null) {
        await this.#system.flushFileSystem(plan.snapshot);
      }
    }
  }

  /** As {@linkcode Bundles.flush}, for all of them. */
  async flushAll(): Promise<void> {
    for (const { path } of [...this.#bundles.values()]) await this.flush(path);
  }

  /** Undoes all bundles, the latest first, for the machine's end: what is on its own disks stays. */
  deleteAll(): void {
    for (const plan of [...this.#bundles.values()].reverse()) {
      this.#undo(plan, plan.steps.length, "keep");
    }
    this.#bundles.clear();
  }

  #execute(step: BundleStep): void {
    switch (step.do) {
      case "folder":
        Deno.mkdirSync(step.path);
        return Deno.chmodSync(step.path, step.mode); // whatever the umask
      case "keep":
        // A link that somebody left there would lead anywhere.
        if (isFolder(step.path)) return;
        Deno.mkdirSync(step.path);
        return Deno.chmodSync(step.path, step.mode);
      case "file":
        Deno.writeFileSync(step.path, step.content, { createNew: true });
        return Deno.chmodSync(step.path, step.mode);
      case "scratch":
        return Deno.mkdirSync(step.path, { mode: 0o700 });
      case "enter":
        // A name alone does not trigger an automount (path_resolution(7)); what is below it does.
        return void Deno.statSync(`${step.path}/.`);
      case "partition":
        return this.#system.addPartition(step.disk, step.number, step.offset, step.length);
      case "mount":
        return this.#mount(step);
    }
  }

  #mount(step: MountStep): void {
    const { source, target, fstype, flags, data, workingDirectory } = step;
    if (fstype === "virtiofs") return this.#mountShare(step);
    const before = workingDirectory === undefined ? null : Deno.cwd();
    try {
      if (workingDirectory !== undefined) Deno.chdir(workingDirectory);
      this.#system.mount(source, target, fstype, flags, data);
    } finally {
      if (before !== null) Deno.chdir(before);
    }
  }

  /**
   * A tag is mounted once and bound where it is wanted again: the kernel would answer a second mount with
   * any file system of that tag, which may be one that the host had mounted below the first (virtio_fs.c,
   * virtio_fs_test_super).
   */
  #mountShare({ source: tag, target, fstype, flags, data }: MountStep): void {
    const targets = this.#shares.get(tag) ?? new Set();
    const [other] = targets;
    if (other === undefined) this.#system.mount(tag, target, fstype, flags, data);
    else this.#system.mount(other, target, null, MS.BIND);
    this.#shares.set(tag, targets.add(target));
  }

  #undo(plan: BundlePlan, done: number, scratch: "keep" | "remove" = "remove"): void {
    for (const step of plan.steps.slice(0, done).reverse()) {
      if (step.do !== "scratch") this.#undoStep(step);
      else if (scratch === "remove") Deno.removeSync(step.path, { recursive: true });
    }
    // What is in the way of the first step (a folder that is not ours) stays as it is.
    if (done > 0) this.#removeFolder(plan);
  }

  #undoStep(step: BundleStep): void {
    if (step.do === "mount") {
      this.#unmount(step.target);
      if (step.fstype === "virtiofs") this.#shares.get(step.source)?.delete(step.target);
    }
    // Only where the host had mounted something is there something to unmount.
    if (step.do === "enter") this.#detach(step.path);
    if (step.do === "partition") this.#uncut(step);
  }

  async #removeScratch(path: string): Promise<void> {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      this.#console.log(`remove ${path}: ${describe(error)}`);
    }
  }

  #removeFolder(plan: BundlePlan): void {
    try {
      Deno.removeSync(plan.path, { recursive: true });
    } catch (error) {
      this.#console.log(`bundle ${plan.id}: ${describe(error)}`);
    }
  }

  #uncut({ disk, number }: PartitionStep): void {
    try {
      this.#system.deletePartition(disk, number);
    } catch (error) {
      this.#console.log(`partition ${number} of ${disk}: ${describe(error)}`);
    }
  }

  #detach(target: string): void {
    try {
      this.#system.unmount(target, MNT.NOFOLLOW | MNT.DETACH);
    } catch {
      // It was a folder of the share itself.
    }
  }

  #unmount(target: string): void {
    try {
      return this.#system.unmount(target, MNT.NOFOLLOW);
    } catch (error) {
      this.#console.log(`unmount ${target}: ${describe(error)}; detaching it instead`);
    }
    try {
      // Whatever still uses it keeps it; the folder is free, and removing it removes nothing inside.
      this.#system.unmount(target, MNT.NOFOLLOW | MNT.DETACH);
    } catch (error) {
      this.#console.log(`detach ${target}: ${describe(error)}`);
    }
  }
}

/** Not where a link leads. */
function isFolder(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

type MountStep = Extract<BundleStep, { do: "mount" }>;
type ScratchStep = Extract<BundleStep, { do: "scratch" }>;
type PartitionStep = Extract<BundleStep, { do: "partition" }>;

function stepName(step: BundleStep): string {
  if (step.do === "partition") return `partition ${step.number} of ${step.disk}`;
  if (step.do === "enter") return `enter ${step.path}`;
  return step.do === "mount" ? `mount ${step.fstype ?? "bind"} on ${step.target}` : step.path;
}
