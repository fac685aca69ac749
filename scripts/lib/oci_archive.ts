/**
 * Makes container images without a registry or a builder: an OCI image layout (opencontainers
 * image-spec, image-layout.md) with any number of images, as one tar archive for `ctr images
 * import`.
 */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { type TarEntry, writeTar } from "./tar.ts";

/** Description of an image. */
export interface ImageRecipe {
  /** The full reference, as containerd names it: `docker.io/library/busybox:latest`. */
  readonly name: string;
  /** Layers, lowest first. */
  readonly layers: readonly (readonly TarEntry[])[];
  /** Object `config` of the image's configuration (image-spec config.md). */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Returns the archive of the images. The same recipes yield the same bytes. */
export function ociArchive(images: readonly ImageRecipe[]): Uint8Array<ArrayBuffer> {
  const blobs = new Map<string, Uint8Array>();
  const add = (mediaType: string, content: Uint8Array) => {
    const digest = sha256(content);
    blobs.set(digest, content);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const manifests = images.map((image) => {
    const diffIds: string[] = [];
    const layers = image.layers.map((entries) => {
      const tar = writeTar(entries);
      diffIds.push(`sha256:${sha256(tar)}`);
      return add("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar, { level: 1 }));
    });
    const config = add(
      "application/vnd.oci.image.config.v1+json",
      json({
        architecture: "amd64",
        os: "linux",
        config: image.config,
        rootfs: { type: "layers", diff_ids: diffIds },
      }),
    );
    const manifest = add(
      "application/vnd.oci.image.manifest.v1+json",
      json({ schemaVersion: 2, mediaType: MANIFEST, config, layers }),
    );
    return { ...manifest, annotations: { "io.containerd.image.name": image.name } };
  });
  return writeTar([
    { path: "oci-layout", mode: 0o644, content: json({ imageLayoutVersion: "1.0.0" }) },
    { path: "index.json", mode: 0o644, content: json({ schemaVersion: 2, manifests }) },
    { path: "blobs", folder: true, mode: 0o755 },
    { path: "blobs/sha256", folder: true, mode: 0o755 },
    ...[...blobs].map(([digest, content]) => ({
      path: `blobs/sha256/${digest}`,
      mode: 0o644,
      content,
    })),
  ]);
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
