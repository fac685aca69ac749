import { create, guest, type MessageInitShape } from "../../proto/mod.ts";

/** What one layer is made of: a tag, or a tag and a folder on it. */
export function layer(tag: string, subdirectory: string = ""): guest.Layer {
  return create(guest.LayerSchema, {
    source: { case: "virtiofs", value: { tag, subdirectory } },
  });
}

/** A layer that is an EROFS file of a share. */
export function file(tag: string, subdirectory: string): guest.Layer {
  return create(guest.LayerSchema, { source: { case: "file", value: { tag, subdirectory } } });
}

/** A layer that is a part of a disk. */
export function part(serial: string, offsetBytes: bigint, lengthBytes: bigint): guest.Layer {
  return create(guest.LayerSchema, {
    source: { case: "block", value: { serial, offsetBytes, lengthBytes } },
  });
}

/** Fields of a request. */
export interface BundleRequestChanges {
  id?: string;
  configJson?: Uint8Array;
  rootfs?: MessageInitShape<typeof guest.RootfsSchema>;
  files?: MessageInitShape<typeof guest.FileSchema>[];
  shares?: MessageInitShape<typeof guest.ShareSchema>[];
}

/** A request that is in order, except for what `changes` says. */
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
