/** Package containerd.types, which is spread over several files. @module */
export * from "./gen/containerd/types/descriptor_pb.ts";
export * from "./gen/containerd/types/event_pb.ts";
export * from "./gen/containerd/types/introspection_pb.ts";
export * from "./gen/containerd/types/metrics_pb.ts";
export * from "./gen/containerd/types/mount_pb.ts";
export * from "./gen/containerd/types/platform_pb.ts";
export * from "./gen/containerd/types/sandbox_pb.ts";
