/** The services of vminitd besides containerd's task service: package qemubox.guest.v1. */
export * from "./gen/qemubox/guest/v1/checkpoint_schema.ts";
export * from "./gen/qemubox/guest/v1/guest_schema.ts";
export * from "./gen/qemubox/guest/v1/network_schema.ts";
