import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { messageOf } from "../base/mod.ts";
import type { Attachment } from "./chain.ts";
import type { NetworkConf } from "./conf.ts";
import { NetworkError } from "./error.ts";

/** How long to wait for other processes, in milliseconds. */
const BUSY_TIMEOUT_MS = 30_000;
const SCHEMA_VERSION = 2;
const SCHEMA = `
CREATE TABLE IF NOT EXISTS attachments (
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  ifname TEXT NOT NULL,
  container_id TEXT NOT NULL,
  netns TEXT NOT NULL,
  conf TEXT NOT NULL,
  capability_args TEXT NOT NULL,
  result TEXT,
  PRIMARY KEY (namespace, id, ifname)
) STRICT;
`;
/** Migration from version 1, whose rows do not say how many plugins have succeeded: null. */
const SECOND = "ALTER TABLE attachments ADD COLUMN added INTEGER;";

/**
 * Attachments of all shims of the host, in SQLite. Like the files of IPAM plugins, they survive a
 * reboot. A row exists from before the first plugin is called until the last DEL has succeeded.
 *
 * Open it for a moment only: 20 processes may use it at once. Readers do not wait (WAL).
 */
export class AttachmentStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #path: string;

  private constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
  }

  /**
   * Opens `path`, and creates it if it does not exist.
   *
   * @throws {NetworkError} `host`, naming the file.
   */
  static open(path: string): AttachmentStore {
    const deadline = performance.now() + BUSY_TIMEOUT_MS;
    for (;;) {
      try {
        return AttachmentStore.#openOnce(path);
      } catch (error) {
        // The change to WAL and its recovery do not honour busy_timeout, as all else does.
        const busy = /database is locked|SQLITE_BUSY/.test(messageOf(error));
        if (!busy || performance.now() > deadline) throw failed(path, error);
        sleepAMoment();
      }
    }
  }

  static #openOnce(path: string): AttachmentStore {
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o711 });
    const database = new DatabaseSync(path);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      database.exec("PRAGMA journal_mode = WAL");
      // A row must be on disk before the files of an IPAM plugin: both survive a power cut.
      database.exec("PRAGMA synchronous = FULL");
      const { user_version } = database.prepare("PRAGMA user_version").get() as {
        user_version: number;
      };
      if (user_version > SCHEMA_VERSION) {
        throw new NetworkError(
          "host",
          `${path} was written by a newer qemubox (schema version ${user_version})`,
        );
      }
      if (user_version < SCHEMA_VERSION) {
        migrate(database);
      }
      return new AttachmentStore(database, path);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /**
   * Records an attachment that is about to be made.
   *
   * @throws {NetworkError} `host`, also if there is one with the same interface.
   */
  intend(owner: Owner, attachment: Attachment): void {
    const { ifname, containerId, netns, conf, capabilityArgs } = attachment;
    this.#run(
      `INSERT INTO attachments
         (namespace, id, ifname, container_id, netns, conf, capability_args)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      owner.namespace,
      owner.id,
      ifname,
      containerId,
      netns,
      JSON.stringify(conf),
      JSON.stringify(capabilityArgs),
    );
  }

  /** Records the ADD result of the `added`th plugin. @throws {NetworkError} `host` */
  record(owner: Owner, ifname: string, result: unknown, added: number): void {
    this.#run(
      "UPDATE attachments SET result = ?, added = ? WHERE namespace = ? AND id = ? AND ifname = ?",
      JSON.stringify(result),
      added,
      owner.namespace,
      owner.id,
      ifname,
    );
  }

  /** Removes the record of an attachment that was undone. @throws {NetworkError} `host` */
  remove(owner: Owner, ifname: string): void {
    this.#run(
      "DELETE FROM attachments WHERE namespace = ? AND id = ? AND ifname = ?",
      owner.namespace,
      owner.id,
      ifname,
    );
  }

  /** Returns the attachments of one sandbox, or all of them. @throws {NetworkError} `host` */
  list(owner?: Owner): StoredAttachment[] {
    const where = owner === undefined ? "" : "WHERE namespace = ? AND id = ?";
    const parameters = owner === undefined ? [] : [owner.namespace, owner.id];
    try {
      return this.#database
        .prepare(`SELECT * FROM attachments ${where} ORDER BY namespace, id, ifname DESC`)
        .all(...parameters).map(stored);
    } catch (error) {
      throw failed(this.#path, error);
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #run(statement: string, ...parameters: (string | number)[]): void {
    try {
      this.#database.prepare(statement).run(...parameters);
    } catch (error) {
      throw failed(this.#path, error);
    }
  }
}

/** Owner of an attachment: containerd's namespace, and the id of the sandbox in it. */
export interface Owner {
  readonly namespace: string;
  readonly id: string;
}

/** An attachment as recorded in the store. */
export interface StoredAttachment extends Attachment {
  readonly owner: Owner;
  /** ADD result of the last plugin that is known to have succeeded; null if none has. */
  readonly result: unknown;
  /** How many plugins are known to have succeeded. */
  readonly added: number;
}

/** Migrates a database of an earlier version, once, even if other processes try it as well. */
function migrate(database: DatabaseSync): void {
  database.exec("BEGIN IMMEDIATE");
  const row = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (row.user_version < 1) database.exec(SCHEMA);
  if (row.user_version < 2) database.exec(SECOND);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

const CONF = z.looseObject({
  name: z.string(),
  cniVersion: z.string(),
  disableCheck: z.boolean(),
  disableGC: z.boolean(),
  plugins: z.array(z.looseObject({ type: z.string() })),
  file: z.string(),
});
const ROW = z.object({
  namespace: z.string(),
  id: z.string(),
  ifname: z.string(),
  container_id: z.string(),
  netns: z.string(),
  conf: z.string(),
  capability_args: z.string(),
  result: z.string().nullable(),
  added: z.int().nullable(),
});

function stored(value: unknown): StoredAttachment {
  const row = ROW.parse(value);
  const conf = CONF.parse(JSON.parse(row.conf)) as NetworkConf;
  return {
    owner: { namespace: row.namespace, id: row.id },
    containerId: row.container_id,
    netns: row.netns,
    ifname: row.ifname,
    conf,
    capabilityArgs: z.record(z.string(), z.unknown()).parse(JSON.parse(row.capability_args)),
    result: row.result === null ? null : JSON.parse(row.result),
    added: row.added ?? (row.result === null ? 0 : conf.plugins.length),
  };
}

function failed(path: string, error: unknown): NetworkError {
  if (error instanceof NetworkError) return error;
  const message = `${path}: ${messageOf(error)}; ` +
    "its directory must be writable and the disk must not be full (QEMUBOX_STATE_DIR)";
  return new NetworkError("host", message, { cause: error });
}

/** Waits synchronously, as SQLite's calls are synchronous. */
function sleepAMoment(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
}
