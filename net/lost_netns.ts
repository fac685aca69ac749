import { messageOf } from "../base/mod.ts";
import {
  type Fd,
  isSystemError,
  netlink,
  O,
  type System,
  system as realSystem,
  withNamespace,
} from "../ffi/mod.ts";
import type { ChainHost } from "./chain.ts";
import { createNetns, removeNetns } from "./netns.ts";
import { openRtnetlinkIn } from "./redirect.ts";
import { checkResult } from "./result.ts";
import type { StoredAttachment } from "./store.ts";

/**
 * Makes a stand-in network namespace for the DEL of an attachment whose own is gone. It has an
 * interface of the same name with the addresses of ADD's result. Plugins that masquerade (bridge,
 * ptp) read there the addresses whose rules they must remove, and leave the rules if they find
 * none.
 *
 * Disposing removes the namespace. Returns null if none is needed, or if it cannot be made: DEL is
 * worth trying without it as well.
 */
export function standInFor(
  { netns: path, ifname, result, conf }: StoredAttachment,
  host: ChainHost,
): Disposable | null {
  const { system = realSystem, onHost = (work) => work() } = host;
  if (result === null) return null;
  try {
    if (onHost(() => isNetns(system, path))) return null;
    const { ips } = checkResult(result, `network ${conf.name}`);
    using stack = new DisposableStack();
    onHost(() => createNetns(system, path));
    stack.defer(() => onHost(() => removeNetns(system, path)));
    const netns = onHost(() => system.open(path, O.RDONLY));
    try {
      // By tc-redirect-tap's convention, each address occurs twice.
      addInterface(system, netns, ifname, new Set(ips.map(({ address }) => address)));
    } finally {
      system.close(netns);
    }
    return stack.move();
  } catch (error) {
    host.log?.(`no stand-in for network namespace ${path}: ${messageOf(error)}`);
    return null;
  }
}

/** Returns whether a network namespace is mounted at a path. */
function isNetns(system: System, path: string): boolean {
  let fd: Fd;
  try {
    fd = system.open(path, O.RDONLY);
  } catch (error) {
    if (isSystemError(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
  try {
    withNamespace(system, "net", fd, () => {});
    return true;
  } catch (error) {
    // The file exists, but nothing is mounted on it.
    if (isSystemError(error, "EINVAL")) return false;
    throw error;
  } finally {
    system.close(fd);
  }
}

/** Adds a tap, which needs no module that may be missing, and which goes with its namespace. */
function addInterface(
  system: System,
  netns: Fd,
  name: string,
  addresses: ReadonlySet<string>,
): void {
  withNamespace(system, "net", netns, () => {
    system.close(system.openTap(name, { exclusive: true, persist: true }));
  });
  using rtnetlink = openRtnetlinkIn(system, netns);
  const link = rtnetlink.dump(netlink.dumpLinks(), netlink.parseLink, "list links")
    .find((each) => each.name === name)!;
  for (const address of addresses) {
    const prefix = netlink.parseIpPrefix(address)!;
    rtnetlink.change(netlink.addAddress(link.index, prefix), `add ${address} to ${name}`);
  }
}
