/** Package containerd.types, which is spread over several files. @module */
export * from "./gen/containerd/types/descriptor_schema.ts";
export * from "./gen/containerd/types/event_schema.ts";
export * from "./gen/containerd/types/introspection_schema.ts";
export * from "./gen/containerd/types/metrics_schema.ts";
export * from "./gen/containerd/types/mount_schema.ts";
export * from "./gen/containerd/types/platform_schema.ts";
export * from "./gen/containerd/types/sandbox_schema.ts";
