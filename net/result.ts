import * as z from "zod";
import { netlink } from "../ffi/mod.ts";
import { NetworkError } from "./error.ts";

const MAC = /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/;
const ip = z.string().refine((text) => netlink.parseIp(text) !== null, "must be an IP address");
const prefix = z.string().refine(
  (text) => netlink.parseIpPrefix(text) !== null,
  "must be an address with a prefix length",
);
const optional = <T extends z.ZodType>(schema: T) =>
  // Plugins written in Go encode an absent string as "" or null.
  z.union([schema, z.literal("").transform(() => undefined), z.null().transform(() => undefined)])
    .optional();

/**
 * The successful result of a chain (CNI specification 1.1, section 5), as far as it is used here.
 */
const RESULT = z.looseObject({
  interfaces: z.array(z.looseObject({
    name: z.string(),
    mac: optional(z.string().regex(MAC, "must be a MAC address")),
    mtu: optional(z.int().min(0).max(65_536)),
    sandbox: optional(z.string()),
  })).max(64).nullish().transform((list) => list ?? []),
  ips: z.array(z.looseObject({
    address: prefix,
    gateway: optional(ip),
    interface: z.int().min(0).nullish().transform((index) => index ?? undefined),
  })).max(64).nullish().transform((list) => list ?? []),
  routes: z.array(z.looseObject({
    dst: prefix,
    gw: optional(ip),
    mtu: optional(z.int().min(0)),
    priority: optional(z.int().min(0)),
  })).max(1024).nullish().transform((list) => list ?? []),
  dns: z.looseObject({
    nameservers: z.array(ip).max(16).nullish().transform((list) => list ?? []),
    domain: optional(z.string().max(253)),
    search: z.array(z.string().max(253)).max(32).nullish().transform((list) => list ?? []),
    options: z.array(z.string().max(64)).max(32).nullish().transform((list) => list ?? []),
  }).nullish().transform((dns) => dns ?? { nameservers: [], search: [], options: [] }),
});

/** A valid result. */
export type CniResult = z.output<typeof RESULT>;
/** DNS settings of a result. */
export type CniDns = CniResult["dns"];

/**
 * Validates the output of a plugin. Pure.
 *
 * @param from who printed it, for messages: "CNI plugin bridge of network x".
 * @throws {NetworkError} `result`, naming the plugin and the key.
 */
export function checkResult(value: unknown, from: string): CniResult {
  const parsed = RESULT.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new NetworkError(
      "result",
      `${from} returned an invalid result: ${issue!.path.join(".")}: ${issue!.message}`,
    );
  }
  const { interfaces, ips } = parsed.data;
  const stray = ips.find((one) =>
    one.interface !== undefined && one.interface >= interfaces.length
  );
  if (stray !== undefined) {
    throw new NetworkError(
      "result",
      `${from} returned address ${stray.address} for interface ${stray.interface}, ` +
        `but only ${interfaces.length} interfaces`,
    );
  }
  return parsed.data;
}

/** The tap that tc-redirect-tap made, and the MAC address that the guest's NIC must have. */
export interface TapPair {
  readonly tap: string;
  readonly mac: string;
}

/**
 * Finds the tap of tc-redirect-tap by its convention: two interfaces with the tap's name, one with
 * the network namespace as its sandbox, the other with the container's id and the guest's MAC
 * address. Returns null if the result has none. Pure.
 */
export function tapPairOf(
  { interfaces }: CniResult,
  netnsPath: string,
  containerId: string,
): TapPair | null {
  for (const guest of interfaces) {
    if (guest.sandbox !== containerId || guest.mac === undefined) continue;
    const tap = interfaces.find(({ name, sandbox }) =>
      name === guest.name && sandbox === netnsPath
    );
    if (tap !== undefined) return { tap: tap.name, mac: guest.mac.toLowerCase() };
  }
  return null;
}
