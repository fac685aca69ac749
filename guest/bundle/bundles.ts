import { describeError, ifPresent, quoted } from "../../base/mod.ts";
import { MNT, MS, type System } from "../../ffi/mod.ts";
import { Code, type guest, RpcError } from "../../proto/mod.ts";
import { type Console } from "../base/console.ts";
import { type DeviceNumbers } from "./block_limits.ts";
import { BUNDLES_DIRECTORY, planBundle } from "./bundle_plan.ts";
import type { BundlePlan, BundleStep } from "./bundle_step.ts";
import { diskBySerial, ownDisks } from "./disks.ts";

/** All bundles: their directories under `root`, and the file systems mounted in them. */
export class Bundles {
  readonly #system: System;
  readonly #console: Console;
  readonly #root: string;
  readonly #diskOf: (serial: string) => string | null;
  readonly #ownDisks: () => readonly DeviceNumbers[];
  readonly #bundles = new Map<string, BundlePlan>();
  /** Mount points of each virtio-fs, by its tag. */
  readonly #shares = new Map<string, Set<string>>();

  constructor(
    system: System,
    console: Console,
    root: string = BUNDLES_DIRECTORY,
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
   * Makes a bundle and returns its path. A failure leaves nothing behind. Synchronous, so that no
   * other call sees half a bundle.
   *
   * @throws {RpcError} InvalidArgument; FailedPrecondition: no such disk; AlreadyExists; Internal,
   *   naming the step that failed
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
      const step = stepName(plan.steps[done] as BundleStep);
      const why = `bundle ${quoted(plan.id)}: ${step}: ${describeError(error)}`;
      throw new RpcError(Code.Internal, why);
    }
    this.#bundles.set(plan.id, plan);
    return plan.path;
  }

  /** Returns the path of bundle `id`, or null if there is none. */
  pathOf(id: string): string | null {
    return this.#bundles.get(id)?.path ?? null;
  }

  /** Returns whether {@linkcode Bundles.create} returned `path` and it has not been deleted. */
  has(path: string): boolean {
    return [...this.#bundles.values()].some((plan) => plan.path === path);
  }

  /**
   * Deletes a bundle. A step that fails is logged and does not stop the others. Its directory on a
   * disk shared with others is removed asynchronously: it may hold a million files.
   *
   * @throws {RpcError} NotFound: no such bundle
   */
  async delete(id: string): Promise<void> {
    const plan = this.#bundles.get(id);
    if (plan === undefined) throw new RpcError(Code.NotFound, `no bundle ${quoted(id)}`);
    this.#bundles.delete(id);
    const { steps } = plan;
    const scratch = steps.findIndex((step) => step.do === "scratch");
    for (const step of steps.slice(scratch + 1).reverse()) this.#undoStep(step);
    if (scratch < 0) return this.#removeDirectory(plan);
    await this.#removeScratch((steps[scratch] as ScratchStep).path);
    this.#undo(plan, scratch);
  }

  /**
   * Flushes the writable layer of the bundle at `path` to the disk that outlives the container.
   * Without such a disk, or such a bundle, it does nothing.
   *
   * @throws {SystemError} syncfs(2) failed
   */
  async flush(path: string): Promise<void> {
    for (const plan of this.#bundles.values()) {
      if (plan.path === path && plan.snapshot !== null) {
        await this.#system.flushFileSystem(plan.snapshot);
      }
    }
  }

  /** Flushes all bundles, like {@linkcode Bundles.flush}. */
  async flushAll(): Promise<void> {
    for (const { path } of [...this.#bundles.values()]) await this.flush(path);
  }

  /** Undoes all bundles, the latest first, for the shutdown: files on the VM's own disks stay. */
  deleteAll(): void {
    for (const plan of [...this.#bundles.values()].reverse()) {
      this.#undo(plan, plan.steps.length, "keep");
    }
    this.#bundles.clear();
  }

  #execute(step: BundleStep): void {
    switch (step.do) {
      case "directory":
        Deno.mkdirSync(step.path);
        return Deno.chmodSync(step.path, step.mode); // the umask applies to mkdir
      case "keep":
        // Not where a link leads: one that was left there could lead anywhere.
        if (ifPresent(() => Deno.lstatSync(step.path))?.isDirectory) return;
        Deno.mkdirSync(step.path);
        return Deno.chmodSync(step.path, step.mode);
      case "file":
        Deno.writeFileSync(step.path, step.content, { createNew: true });
        return Deno.chmodSync(step.path, step.mode);
      case "scratch":
        return Deno.mkdirSync(step.path, { mode: 0o700 });
      case "enter":
        // A name alone does not trigger an automount (path_resolution(7)); a path below it does.
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
   * Mounts a tag once, and binds that mount for every other bundle: the kernel answers a second
   * mount with any file system of that tag, which may be one that the host has mounted below the
   * first (virtio_fs.c, virtio_fs_test_super).
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
    // If the first step failed, the directory in its way is not ours and stays.
    if (done > 0) this.#removeDirectory(plan);
  }

  #undoStep(step: BundleStep): void {
    if (step.do === "mount") {
      this.#unmount(step.target);
      if (step.fstype === "virtiofs") this.#shares.get(step.source)?.delete(step.target);
    }
    // There is a mount only if the host had one there.
    if (step.do === "enter") this.#detach(step.path);
    if (step.do === "partition") this.#deletePartition(step);
  }

  async #removeScratch(path: string): Promise<void> {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      this.#console.log(`remove ${path}: ${describeError(error)}`);
    }
  }

  #removeDirectory(plan: BundlePlan): void {
    try {
      Deno.removeSync(plan.path, { recursive: true });
    } catch (error) {
      this.#console.log(`bundle ${plan.id}: ${describeError(error)}`);
    }
  }

  #deletePartition({ disk, number }: PartitionStep): void {
    try {
      this.#system.deletePartition(disk, number);
    } catch (error) {
      this.#console.log(`partition ${number} of ${disk}: ${describeError(error)}`);
    }
  }

  #detach(target: string): void {
    try {
      this.#system.unmount(target, MNT.NOFOLLOW | MNT.DETACH);
    } catch {
      // It is a directory of the share itself.
    }
  }

  #unmount(target: string): void {
    try {
      return this.#system.unmount(target, MNT.NOFOLLOW);
    } catch (error) {
      this.#console.log(`unmount ${target}: ${describeError(error)}; detaching it instead`);
    }
    try {
      // Its users keep it; the directory is free, and removing it removes nothing of the mount.
      this.#system.unmount(target, MNT.NOFOLLOW | MNT.DETACH);
    } catch (error) {
      this.#console.log(`detach ${target}: ${describeError(error)}`);
    }
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
