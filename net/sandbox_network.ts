import { messageOf, readIfPresent } from "../base/mod.ts";
import { type Fd, isSystemError, type netlink, O, type System } from "../ffi/mod.ts";
import { attach, detachAll, note } from "./attachments.ts";
import type { Attachment, ChainHost } from "./chain.ts";
import { hostResolver, mergeDns, type Resolver } from "./dns.ts";
import { NetworkError } from "./error.ts";
import { type InterfacePlan, planExisting, planInterface } from "./guest_interface.ts";
import { createNetns, removeNetns } from "./netns.ts";
import { type GuestInterface, readNetns } from "./netns_state.ts";
import type { NetworkPlan } from "./plan.ts";
import {
  droppedFrames,
  type Guard,
  guardTap,
  openExistingTap,
  openRtnetlinkIn,
  openTapIn,
  redirectBothWays,
  removeRedirect,
  tapName,
} from "./redirect.ts";
import type { CniDns } from "./result.ts";
import { type Spoofing, spoofingGuard } from "./spoofing.ts";
import type { Owner } from "./store.ts";

const VHOST_NET = "/dev/vhost-net";
/** The host's resolver files; the second counts if the first names systemd's stub. */
const RESOLV_CONFS = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
/** The plugin that makes the tap itself, so that there is no tap before it has run. */
const TAP_PLUGIN = "tc-redirect-tap";

/**
 * The network of one sandbox: a namespace, its attachments, a tap for each interface of the guest.
 *
 * It is made in two steps, because QEMU needs only taps to start: `prepare`, then `connect` during
 * the boot. Disposing undoes both.
 */
export class SandboxNetwork implements AsyncDisposable {
  readonly nics: readonly Nic[];
  /** Its namespace, open until this is disposed of; null if it has none. */
  readonly netns: Fd | null;
  readonly #stack: AsyncDisposableStack;
  readonly #connect: () => Promise<GuestNetwork>;
  #connected: Promise<GuestNetwork> | undefined;
  #disposed: Promise<void> | undefined;

  private constructor(
    { nics, netns, connect }: Prepared,
    stack: AsyncDisposableStack,
  ) {
    this.nics = nics;
    this.netns = netns;
    this.#stack = stack;
    this.#connect = connect;
  }

  /**
   * Makes what QEMU needs. If it throws, nothing is left.
   *
   * @throws {NetworkError} naming the problem and the fix.
   * @throws SystemError
   */
  static async prepare(plan: NetworkPlan, host: NetworkHost): Promise<SandboxNetwork> {
    await using stack = new AsyncDisposableStack();
    const maker = new Maker(host, stack);
    const prepared = await maker.prepare(plan);
    return new SandboxNetwork(prepared, stack.move());
  }

  /** Attaches it to its networks. Returns the same promise each time. @throws as `prepare`. */
  connect(): Promise<GuestNetwork> {
    if (this.#connected === undefined) {
      this.#connected = this.#connect();
      // It may fail before anything awaits it.
      this.#connected.catch(() => {});
    }
    return this.#connected;
  }

  /**
   * Waits for a `connect` that is running, then undoes everything. Returns the same promise each
   * time.
   *
   * @throws SuppressedError of the failures.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposed ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    await this.#connected?.catch(() => {});
    await this.#stack.disposeAsync();
  }
}

/** A virtio-net device of the VM. */
export interface Nic {
  /** MAC address of the device, by which the guest tells its devices apart. */
  readonly deviceMac: string;
  readonly tap: Fd;
  /** /dev/vhost-net; null if the host does not have it. */
  readonly vhost: Fd | null;
}

/** Network settings for the guest. */
export interface GuestNetwork {
  readonly interfaces: readonly (GuestInterface & { readonly deviceMac: string })[];
  readonly resolver: Resolver;
}

/** Host of a sandbox's network. */
export interface NetworkHost {
  readonly system: System;
  readonly owner: Owner;
  /** Id of the sandbox for plugins (CNI_CONTAINERID). */
  readonly containerId: string;
  /** Path at which a network namespace is made, if one is made. */
  readonly netnsPath: string;
  /** File of the AttachmentStore. */
  readonly storePath: string;
  /** Whether the VM may send with other addresses than its own; default: "deny". */
  readonly spoofing?: Spoofing;
  /** Log of what is degraded or was dropped. */
  readonly warn?: (line: string) => void;
  /** Others that use a namespace which is not attached to networks here. */
  readonly others?: NetnsUsers;
  /** `signal` aborts what is being made, but not what is being undone. */
  readonly chain: ChainHost;
}

/** Others that use a sandbox's network namespace, such as hooks. */
export interface NetnsUsers {
  /** Called before the state of the namespace is read. */
  enter(netns: Fd): Promise<void>;
  /** Called when the namespace is released, also if `enter` failed. */
  leave(): Promise<void>;
}

interface Prepared {
  readonly nics: readonly Nic[];
  readonly netns: Fd | null;
  readonly connect: () => Promise<GuestNetwork>;
}

/** Makes the network of one sandbox; what it acquires goes on the stack. */
class Maker {
  readonly #host: NetworkHost;
  readonly #stack: AsyncDisposableStack;
  /** Whether there is an attachment to undo. */
  #noted = false;

  constructor(host: NetworkHost, stack: AsyncDisposableStack) {
    this.#host = host;
    this.#stack = stack;
  }

  async prepare(plan: NetworkPlan): Promise<Prepared> {
    switch (plan.kind) {
      case "none":
        return {
          nics: [],
          netns: null,
          connect: () => Promise.resolve(guestNetwork([], [], [])),
        };
      case "existing":
        return await this.#existing(plan.netns);
      case "own":
        return await this.#own();
      case "cni":
        return await this.#cni(plan);
    }
  }

  async #own(): Promise<Prepared> {
    const { system, netnsPath } = this.#host;
    this.#onHost(() => createNetns(system, netnsPath));
    this.#stack.defer(() => this.#onHost(() => removeNetns(system, netnsPath)));
    return await this.#existing(netnsPath);
  }

  async #existing(path: string): Promise<Prepared> {
    const netns = this.#openNetns(path);
    const { others } = this.#host;
    if (others !== undefined) {
      this.#stack.defer(() => others.leave());
      await others.enter(netns);
    }
    const rtnetlink = this.#stack.use(openRtnetlinkIn(this.#host.system, netns));
    const plans = planExisting(readNetns(rtnetlink));
    const nics = plans.map((_, index) => this.#nic(netns, index, null));
    this.#reportDropsAtEnd(netns);
    for (const [index, plan] of plans.entries()) {
      this.#stack.defer(() => removeRedirect(rtnetlink, plan.link));
      this.#redirect(rtnetlink, plan, index);
    }
    return { nics, netns, connect: () => Promise.resolve(guestNetwork(plans, nics, [])) };
  }

  async #cni(plan: NetworkPlan & { kind: "cni" }): Promise<Prepared> {
    const { system, owner, storePath, netnsPath } = this.#host;
    const onHost = this.#onHost;
    // Undo what a killed shim of the same container left.
    throwFirst(await detachAll(owner, storePath, this.#undoing));
    onHost(() => createNetns(system, netnsPath));
    this.#stack.defer(async () => {
      if (this.#noted) throwFirst(await detachAll(owner, storePath, this.#undoing));
      // Not if DEL failed: the plugins need the namespace when they are retried.
      onHost(() => removeNetns(system, netnsPath));
    });
    const netns = this.#openNetns(netnsPath);
    const attachments = plan.networks.map((conf, index): Attachment => ({
      conf,
      containerId: this.#host.containerId,
      netns: netnsPath,
      ifname: `eth${index}`,
      capabilityArgs: index === 0 ? plan.capabilityArgs : {},
    }));
    const makesTap = plan.networks.some(({ plugins }) =>
      plugins.some(({ type }) => type === TAP_PLUGIN)
    );
    if (makesTap) {
      const { plans, dns } = await this.#attach(attachments, netns);
      const nics = plans.map(({ tap }, index) => this.#nic(netns, index, tap));
      this.#reportDropsAtEnd(netns);
      return { nics, netns, connect: () => Promise.resolve(this.#wire(plans, nics, dns, netns)) };
    }
    const nics = attachments.map((_, index) => this.#nic(netns, index, null));
    this.#reportDropsAtEnd(netns);
    const connect = async () => {
      const { plans, dns } = await this.#attach(attachments, netns);
      return this.#wire(plans, nics, dns, netns);
    };
    return { nics, netns, connect };
  }

  async #attach(attachments: readonly Attachment[], netns: Fd) {
    const { owner, storePath, chain, system } = this.#host;
    const plans: InterfacePlan[] = [];
    const dns: CniDns[] = [];
    for (const attachment of attachments) {
      await note(owner, attachment, storePath, chain);
      this.#noted = true;
      const { result } = await attach(owner, attachment, storePath, chain);
      using rtnetlink = openRtnetlinkIn(system, netns);
      const network = attachment.conf.name;
      plans.push(planInterface(result, readNetns(rtnetlink), { ...attachment, network }));
      dns.push(result.dns);
    }
    return { plans, dns };
  }

  /** Makes the redirects of the taps that were made here, and the guards of all. */
  #wire(
    plans: readonly InterfacePlan[],
    nics: readonly Nic[],
    dns: readonly CniDns[],
    netns: Fd,
  ): GuestNetwork {
    using rtnetlink = openRtnetlinkIn(this.#host.system, netns);
    for (const [index, plan] of plans.entries()) this.#redirect(rtnetlink, plan, index);
    return guestNetwork(plans, nics, dns);
  }

  /** Connects a tap to its link, with the guard of what the guest sends. */
  #redirect(rtnetlink: netlink.Rtnetlink, { guest, link, tap }: InterfacePlan, index: number) {
    const guard = this.#guard(guest);
    if (tap === null) redirectBothWays(rtnetlink, link, tapName(index), guard);
    else if (guard !== null) guardTap(rtnetlink, tap, guard);
  }

  #guard(guest: GuestInterface): Guard | null {
    const { spoofing = "deny", warn } = this.#host;
    if (spoofing === "allow") return null;
    const { program, checksAddresses } = spoofingGuard(guest);
    if (!checksAddresses) {
      warn?.(
        `interface ${guest.name} has no IP address on the host, so frames of the VM are checked ` +
          "by MAC address alone",
      );
    }
    return program;
  }

  /** Logs what guards have dropped, while the taps are still there. */
  #reportDropsAtEnd(netns: Fd): void {
    const { spoofing = "deny", warn, system } = this.#host;
    if (spoofing === "allow" || warn === undefined) return;
    this.#stack.defer(() => {
      try {
        using rtnetlink = openRtnetlinkIn(system, netns);
        for (const { tap, frames } of droppedFrames(rtnetlink)) {
          warn(
            `${frames} frames that the VM sent through ${tap} were dropped: only its own MAC and ` +
              "IP addresses may be their source; see docs/NETWORKING.md, or set spoofing to allow",
          );
        }
      } catch (error) {
        warn(`dropped frames of the VM are not counted: ${messageOf(error)}`);
      }
    });
  }

  /** @param tap the name of an existing tap; null to make one. */
  #nic(netns: Fd, index: number, tap: string | null): Nic {
    const { system } = this.#host;
    const own = (fd: Fd) => this.#stack.adopt(fd, (fd) => system.close(fd));
    return {
      deviceMac: `52:54:00:71:62:${index.toString(16).padStart(2, "0")}`,
      tap: own(
        tap === null ? openTapIn(system, netns, index) : openExistingTap(system, netns, tap),
      ),
      vhost: this.#openVhost(own),
    };
  }

  #openVhost(own: (fd: Fd) => Fd): Fd | null {
    try {
      return own(this.#host.system.open(VHOST_NET, O.RDWR));
    } catch (error) {
      if (isSystemError(error, "ENOENT", "ENODEV", "ENXIO")) return null;
      throw error;
    }
  }

  #openNetns(path: string): Fd {
    const { system } = this.#host;
    try {
      const fd = this.#onHost(() => system.open(path, O.RDONLY));
      return this.#stack.adopt(fd, (fd) => system.close(fd));
    } catch (error) {
      throw isSystemError(error, "ENOENT")
        ? new NetworkError("config", `network namespace ${path} does not exist`, { cause: error })
        : error;
    }
  }

  get #onHost(): <T>(work: () => T) => T {
    return this.#host.chain.onHost ?? ((work) => work());
  }

  /** Undoing goes on after an abort; it has deadlines of its own. */
  get #undoing(): ChainHost {
    const { signal: _, ...chain } = this.#host.chain;
    return chain;
  }
}

function guestNetwork(
  plans: readonly InterfacePlan[],
  nics: readonly Nic[],
  dns: readonly CniDns[],
): GuestNetwork {
  return {
    interfaces: plans.map(({ guest }, index) => ({
      ...guest,
      deviceMac: nics[index]!.deviceMac,
    })),
    resolver: mergeDns(dns) ??
      hostResolver(RESOLV_CONFS.flatMap((path) => readIfPresent(path) ?? [])),
  };
}

function throwFirst(failures: readonly Error[]): void {
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) {
    throw new AggregateError(failures, failures.map(({ message }) => message).join("; "));
  }
}
