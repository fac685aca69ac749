import { isThere, messageOf } from "../base/mod.ts";
import {
  addChain,
  type Attachment,
  type ChainHost,
  type ChainResult,
  checkChain,
  deleteChain,
} from "./chain.ts";
import { withFileLock } from "./file_lock.ts";
import { standInFor } from "./lost_netns.ts";
import { PluginError } from "./plugin.ts";
import { gcFile } from "./plugin_lock.ts";
import { AttachmentStore, type Owner, type StoredAttachment } from "./store.ts";

/**
 * Records an attachment that is about to be made. From then on, `detachAll` undoes what `attach`
 * does, in any process.
 *
 * @throws {NetworkError} `host`
 */
export async function note(
  owner: Owner,
  attachment: Attachment,
  storePath: string,
  host: ChainHost,
): Promise<void> {
  const intend = () => withStore(storePath, (store) => store.intend(owner, attachment));
  await withFileLock(gcFile(host), host, intend);
}

/**
 * Attaches a sandbox to a network, after `note`. Each plugin's result is in the store before the
 * next plugin runs: some plugins (firewall) know from that alone what to undo.
 *
 * @throws {NetworkError} naming the plugin and the reason. What was done stays until `detachAll`.
 */
export async function attach(
  owner: Owner,
  attachment: Attachment,
  storePath: string,
  host: ChainHost,
): Promise<ChainResult> {
  return await addChain(attachment, host, (raw, added) => {
    withStore(storePath, (store) => store.record(owner, attachment.ifname, raw, added));
  });
}

/**
 * Undoes all attachments of a sandbox from the store alone, the last one first. Does nothing if
 * there are none. Attachments that fail stay in the store, to be retried.
 *
 * @returns the failures.
 */
export async function detachAll(
  owner: Owner,
  storePath: string,
  host: ChainHost,
): Promise<Error[]> {
  const failures: Error[] = [];
  for (const stored of listAttachments(storePath, owner)) {
    try {
      await detach(stored, host);
      withStore(storePath, (store) => store.remove(owner, stored.ifname));
    } catch (error) {
      failures.push(error as Error);
    }
  }
  return failures;
}

/** @throws {AggregateError} of the failures. */
async function detach(stored: StoredAttachment, host: ChainHost): Promise<void> {
  try {
    using _ = standInFor(stored, host);
    await deleteChain(stored, stored.result, host, stored.added);
  } catch (error) {
    const refused = error instanceof AggregateError &&
      error.errors.every((one) => one instanceof PluginError);
    if (!refused) throw error;
    // bridge and ptp fail if their masquerade rules are gone, as after a reboot or a firewall
    // flush. By then they have removed the interface, and without one they do not look for rules.
    await deleteChain(stored, stored.result, host, stored.added);
  }
}

/** Result of CHECK for one attachment of a sandbox. */
export interface CheckedAttachment {
  readonly network: string;
  readonly ifname: string;
  /** `unchecked`: its configuration disables CHECK, or ADD has not finished. */
  readonly state: "as added" | "changed" | "unchecked";
  /** If `changed`, the plugin's error; else empty. */
  readonly reason: string;
}

/** Asks the plugins whether each attachment of a sandbox is as ADD left it. */
export async function checkAttachments(
  owner: Owner,
  storePath: string,
  host: ChainHost,
): Promise<CheckedAttachment[]> {
  const checked: CheckedAttachment[] = [];
  // The store lists the last one first.
  for (const stored of listAttachments(storePath, owner).toReversed()) {
    const about = { network: stored.conf.name, ifname: stored.ifname };
    try {
      const asked = stored.result !== null && await checkChain(stored, stored.result, host);
      checked.push({ ...about, state: asked ? "as added" : "unchecked", reason: "" });
    } catch (error) {
      checked.push({ ...about, state: "changed", reason: messageOf(error) });
    }
  }
  return checked;
}

/** Returns the owners of the attachments in the store. @throws {NetworkError} `host` */
export function attachedOwners(storePath: string): Owner[] {
  const owners = listAttachments(storePath).map(({ owner }) => owner);
  return [...new Map(owners.map((owner) => [`${owner.namespace}/${owner.id}`, owner])).values()];
}

/**
 * Returns the attachments of one sandbox, the last one first, or all of them.
 *
 * @throws {NetworkError} `host`
 */
export function listAttachments(storePath: string, owner?: Owner): StoredAttachment[] {
  // Most sandboxes of most hosts have none: do not create a database to find nothing in it.
  if (!isThere(storePath)) return [];
  return withStore(storePath, (store) => store.list(owner));
}

function withStore<T>(path: string, work: (store: AttachmentStore) => T): T {
  using store = AttachmentStore.open(path);
  return work(store);
}
