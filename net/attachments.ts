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
 * Notes an attachment that is about to be made: what `attach` does is undone by `detachAll` from then
 * on, in whatever process.
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
 * Attaches a sandbox to a network; that has to be noted before. What a plugin said is in the store
 * before the next one runs: some plugins (firewall) know by that alone what to undo.
 * @throws {NetworkError} which plugin, and why. What was done is there until `detachAll` undoes it.
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
 * Undoes all attachments of a sandbox from the store alone, the last one first; nothing happens when
 * there is none. What fails stays in the store, to be tried again.
 * @returns what failed.
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

/** @throws {AggregateError} what failed. */
async function detach(stored: StoredAttachment, host: ChainHost): Promise<void> {
  try {
    using _ = standInFor(stored, host);
    await deleteChain(stored, stored.result, host, stored.added);
  } catch (error) {
    const refused = error instanceof AggregateError &&
      error.errors.every((one) => one instanceof PluginError);
    if (!refused) throw error;
    // bridge and ptp fail for masquerade rules that are gone, as after a reboot or when a firewall was
    // flushed; but they have removed the interface by then, and without one they look for no rules.
    await deleteChain(stored, stored.result, host, stored.added);
  }
}

/** How one attachment of a sandbox is. */
export interface CheckedAttachment {
  readonly network: string;
  readonly ifname: string;
  /** `unchecked`: its configuration does not let it be checked, or ADD has not ended. */
  readonly state: "as added" | "changed" | "unchecked";
  /** Why it is not as ADD left it: what the plugin said; else empty. */
  readonly reason: string;
}

/** Asks the plugins whether all attachments of a sandbox are as ADD left them. */
export async function checkAttachments(
  owner: Owner,
  storePath: string,
  host: ChainHost,
): Promise<CheckedAttachment[]> {
  const checked: CheckedAttachment[] = [];
  // The store has the last one first.
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

/** Whom attachments in the store belong to. @throws {NetworkError} `host` */
export function attachedOwners(storePath: string): Owner[] {
  const owners = listAttachments(storePath).map(({ owner }) => owner);
  return [...new Map(owners.map((owner) => [`${owner.namespace}/${owner.id}`, owner])).values()];
}

/** The attachments of one sandbox, the last one first, or all of them. @throws {NetworkError} `host` */
export function listAttachments(storePath: string, owner?: Owner): StoredAttachment[] {
  // Most sandboxes of most hosts: no database is made for them to find nothing in it.
  if (!isThere(storePath)) return [];
  return withStore(storePath, (store) => store.list(owner));
}

function withStore<T>(path: string, work: (store: AttachmentStore) => T): T {
  using store = AttachmentStore.open(path);
  return work(store);
}
