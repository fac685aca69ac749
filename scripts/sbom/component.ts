/** Parts of the product that others wrote, for its bill of materials. */

import { Buffer } from "node:buffer";
import type { DebianPackage } from "../lib/debian_pins.ts";

/** A hash of what was downloaded for a component. */
export interface Checksum {
  readonly algorithm: "SHA256" | "SHA512";
  /** In hexadecimal. */
  readonly value: string;
}

/** Something that a file of the product contains or was made from. */
export interface Component {
  readonly name: string;
  readonly version: string;
  /** A package URL (github.com/package-url/purl-spec); null for programs of ours. */
  readonly purl: string | null;
  /** Null where the checksum of the component that it is a part of covers it. */
  readonly checksum: Checksum | null;
  readonly parts: readonly Component[];
  /** Whether the product was compiled from it, instead of containing it. */
  readonly isSource?: boolean;
}

/** Returns the component of a Debian package. */
export function debianComponent(
  { name, version, sha256 }: DebianPackage,
  architecture: "amd64" | "all" = "amd64",
): Component {
  const [pathName, pathVersion] = [name, version].map(encodeURIComponent);
  return {
    name,
    version,
    purl: `pkg:deb/debian/${pathName}@${pathVersion}?arch=${architecture}`,
    checksum: { algorithm: "SHA256", value: sha256 },
    parts: [],
  };
}

/**
 * Returns the component of an npm package.
 *
 * @param id NAME@VERSION
 * @param lock deno.lock, whose integrity is base64 of a SHA-512
 * @throws {Error} if the lock file does not have it
 */
export function npmComponent(id: string, lock: DenoLock): Component {
  const at = id.lastIndexOf("@");
  const [name, version] = [id.slice(0, at), id.slice(at + 1)];
  const digest = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(lock.npm[id]?.integrity ?? "")?.[1];
  if (digest === undefined) throw new Error(`deno.lock has no SHA-512 of the npm package ${id}`);
  const path = name.split("/").map(encodeURIComponent).join("/");
  return {
    name,
    version,
    purl: `pkg:npm/${path}@${version}`,
    checksum: { algorithm: "SHA512", value: Buffer.from(digest, "base64").toString("hex") },
    parts: [],
  };
}

/** The part of deno.lock that counts here. */
export interface DenoLock {
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
}

/** Returns the component of denort, which has V8 inside. */
export function denortComponent(sha256: string): Component {
  const { deno, v8 } = Deno.version;
  return {
    name: "denort",
    version: deno,
    purl: `pkg:github/denoland/deno@v${deno}`,
    checksum: { algorithm: "SHA256", value: sha256 },
    parts: [{
      name: "v8",
      version: v8,
      purl: `pkg:github/v8/v8@${v8.replace(/-rusty$/, "")}`,
      checksum: null,
      parts: [],
    }],
  };
}
