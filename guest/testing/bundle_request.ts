import { create, guest, type MessageInitShape } from "../../proto/mod.ts";

/** A layer that is a share, or a directory of one. */
export function layer(tag: string, subdirectory: string = ""): guest.Layer {
  return create(guest.LayerSchema, {
    source: { case: "virtiofs", value: { tag, subdirectory } },
  });
}

/** A layer that is an EROFS file of a share. */
export function file(tag: string, subdirectory: string): guest.Layer {
  return create(guest.LayerSchema, { source: { case: "file", value: { tag, subdirectory } } });
}

/** A layer that is part of a disk. */
export function part(serial: string, offsetBytes: bigint, lengthBytes: bigint): guest.Layer {
  return create(guest.LayerSchema, {
    source: { case: "block", value: { serial, offsetBytes, lengthBytes } },
  });
}

/** Fields of a request that a test sets. */
export interface BundleRequestChanges {
  id?: string;
  configJson?: Uint8Array;
  rootfs?: MessageInitShape<typeof guest.RootfsSchema>;
  files?: MessageInitShape<typeof guest.FileSchema>[];
  shares?: MessageInitShape<typeof guest.ShareSchema>[];
}

/** Returns a valid request with `changes`. */
export function bundleRequest(
  changes: BundleRequestChanges = {},
): guest.CreateBundleRequest {
  return create(guest.CreateBundleRequestSchema, {
    id: "c1",
    configJson: new TextEncoder().encode(`{"root":{"path":"rootfs"}}`),
    rootfs: {
      lower: [layer("rootfs", "fs")],
      writable: { kind: { case: "tmpfs", value: { sizeBytes: 0n } } },
    },
    files: [{ name: "resolv.conf", content: new TextEncoder().encode("x"), mode: 0o644 }],
    ...changes,
  });
}
