import { netlink } from "../ffi/mod.ts";
import type { CniDns } from "./result.ts";

/** The part of resolv.conf(5) that is carried over to the guest. */
export interface Resolver {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Merges the DNS settings of all networks; null if none names a server. Pure. */
export function mergeDns(results: readonly CniDns[]): Resolver | null {
  const unique = (pick: (dns: CniDns) => readonly string[]) => [...new Set(results.flatMap(pick))];
  const nameservers = unique((dns) => dns.nameservers);
  if (nameservers.length === 0) return null;
  return {
    nameservers,
    search: unique((dns) => dns.search.length > 0 || !dns.domain ? dns.search : [dns.domain]),
    options: unique((dns) => dns.options),
  };
}

/**
 * Returns the host's resolver, without servers on the host's own loopback, which a VM cannot reach.
 * Pure.
 *
 * @param texts contents of resolv.conf files, the preferred one first.
 */
export function hostResolver(texts: readonly string[]): Resolver {
  let last: Resolver = { nameservers: [], search: [], options: [] };
  for (const text of texts) {
    last = parseResolvConf(text);
    const nameservers = last.nameservers.filter((server) => !isLoopback(server));
    if (nameservers.length > 0) return { ...last, nameservers };
  }
  return { ...last, nameservers: [] };
}

/** Parses resolv.conf(5); unknown lines are skipped. Pure. */
export function parseResolvConf(text: string): Resolver {
  const nameservers: string[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && words[0] !== undefined && netlink.parseIp(words[0]) !== null) {
      nameservers.push(words[0]);
    } else if (keyword === "search" || keyword === "domain") search = words;
    else if (keyword === "options") options.push(...words);
  }
  return { nameservers, search, options };
}

/** Formats resolv.conf(5). Pure. */
export function formatResolvConf({ nameservers, search, options }: Resolver): string {
  return [
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
    "",
  ].join("\n");
}

/** Formats hosts(5): loopback, and `hostname` at its own addresses. Pure. */
export function formatHosts(hostname: string, addresses: readonly string[]): string {
  return [
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    ...addresses.map((address) => `${address}\t${hostname}`),
    ...(addresses.length === 0 ? [`127.0.1.1\t${hostname}`] : []),
    "",
  ].join("\n");
}

function isLoopback(server: string): boolean {
  return server.startsWith("127.") || server === "::1";
}
