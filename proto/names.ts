/**
 * Namespaces of the generated code, one per protobuf package, because names of the packages clash
 * (both versions of the task service have a `CreateTaskRequest`).
 *
 * @module
 */
export * as taskV2 from "./gen/containerd/runtime/task/v2/shim_schema.ts";
export * as taskV3 from "./gen/containerd/runtime/task/v3/shim_schema.ts";
export * as taskTypes from "./gen/containerd/types/task/task_schema.ts";
export * as types from "./containerd_types.ts";
export * as events from "./gen/containerd/events/task_schema.ts";
export * as eventsService from "./gen/containerd/services/ttrpc/events/v1/events_schema.ts";
export * as bootstrap from "./gen/containerd/runtime/bootstrap/v1/bootstrap_schema.ts";
export * as runcOptions from "./gen/containerd/types/runc/options/oci_schema.ts";
export * as runtimeOptions from "./gen/containerd/types/runtimeoptions/v1/api_schema.ts";
export * as cgroups from "./gen/io/containerd/cgroups/v2/metrics_schema.ts";
export * as guest from "./guest_services.ts";
