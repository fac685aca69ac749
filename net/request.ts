import { netlink } from "../ffi/mod.ts";
import { NetworkError } from "./error.ts";

/** Networks that a container asks for. */
export interface NetworkRequest {
  /** Names, in the order of their interfaces; empty: no network; null: the default. */
  readonly networks: readonly string[] | null;
  /** Path of the specification's network namespace; null if it has none. */
  readonly netns: string | null;
  /** Whether hooks of the specification make interfaces in a namespace that is made for that. */
  readonly isPopulated: boolean;
  /** By capability (CNI conventions, "Dynamic Plugin specific fields"). */
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

/** Annotations for networks that a container may have. */
export const NETWORK_ANNOTATIONS = {
  networks: "io.qemubox.networks",
  ports: "io.qemubox.port-mappings",
  ips: "io.qemubox.ip-addresses",
  mac: "io.qemubox.mac-address",
} as const;

/** A port of the host that is forwarded to the container, as in the `portMappings` capability. */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly hostIP?: string;
}

const NETWORK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const PORT_MAPPING = /^(?:(\[[^\]]+\]|[^:[\]]+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp|sctp))?$/;

/**
 * Parses a container's annotations. Pure.
 *
 * @param netns the path of the specification's network namespace; null if it has none.
 * @param isPopulated whether the specification has hooks that use it.
 * @throws {NetworkError} `config`, naming the annotation and its valid values.
 */
export function networkRequest(
  annotations: Readonly<Record<string, string>>,
  netns: string | null,
  isPopulated = false,
): NetworkRequest {
  const names = annotations[NETWORK_ANNOTATIONS.networks];
  const ports = annotations[NETWORK_ANNOTATIONS.ports];
  const ips = annotations[NETWORK_ANNOTATIONS.ips];
  const mac = annotations[NETWORK_ANNOTATIONS.mac];
  return {
    networks: names === undefined ? null : networkNames(names),
    netns,
    isPopulated,
    capabilityArgs: {
      ...(ports === undefined ? {} : { portMappings: words(ports).map(portMapping) }),
      ...(ips === undefined ? {} : { ips: words(ips).map(ipAddress) }),
      ...(mac === undefined ? {} : { mac: macAddress(mac) }),
    },
  };
}

function networkNames(text: string): string[] {
  if (text.trim() === "none") return [];
  const names = words(text);
  const wrong = names.find((name) => !NETWORK_NAME.test(name));
  if (wrong !== undefined || names.length === 0 || new Set(names).size < names.length) {
    throw invalid("networks", text, "distinct network names, separated by commas, or none");
  }
  return names;
}

function portMapping(text: string): PortMapping {
  const [, ip, host, container, protocol = "tcp"] = PORT_MAPPING.exec(text) ?? [];
  const hostIP = ip?.replace(/^\[|\]$/g, "");
  const ports = [Number(host), Number(container)] as const;
  const valid = ports.every((port) => port >= 1 && port <= 65_535) &&
    (hostIP === undefined || netlink.parseIp(hostIP) !== null);
  if (!valid) {
    throw invalid("ports", text, "[address:]hostPort:containerPort[/tcp|udp|sctp]");
  }
  return {
    hostPort: ports[0],
    containerPort: ports[1],
    protocol: protocol as PortMapping["protocol"],
    ...(hostIP === undefined ? {} : { hostIP }),
  };
}

function ipAddress(text: string): string {
  if (netlink.parseIpPrefix(text) !== null || netlink.parseIp(text) !== null) return text;
  throw invalid("ips", text, "addresses, with or without /prefix, separated by commas");
}

function macAddress(text: string): string {
  if (/^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$/.test(text)) return text.toLowerCase();
  throw invalid("mac", text, "a unicast MAC address such as 02:00:00:00:00:01");
}

function words(text: string): string[] {
  return text.split(",").map((word) => word.trim()).filter((word) => word !== "");
}

function invalid(
  which: keyof typeof NETWORK_ANNOTATIONS,
  text: string,
  valid: string,
): NetworkError {
  const name = NETWORK_ANNOTATIONS[which];
  return new NetworkError("config", `annotation ${name}=${JSON.stringify(text)} must be ${valid}`);
}
