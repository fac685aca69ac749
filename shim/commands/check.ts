import { system } from "../../ffi/mod.ts";
import type { CheckedAttachment } from "../../net/mod.ts";
import type { Flags } from "./cli.ts";
import { loadConfig } from "../config/config.ts";
import { sandboxPaths } from "../base/names.ts";
import { checkNetwork } from "../sandbox/network.ts";
import { networkFacts } from "../lease/network_facts.ts";

/**
 * `check`, for people: checks that the networks of a container are as their plugins left them
 * (CHECK of CNI). Only people call it: containerd has no such call, and a container's start does
 * not wait for it.
 *
 * @throws {Error} if a network changed, or if the container is on none.
 */
export async function checkNetworks(flags: Flags): Promise<void> {
  const config = loadConfig();
  const facts = networkFacts(config, sandboxPaths(config, flags), flags);
  const print = (line: string) => console.error(line);
  const log = { debug() {}, info: print, warn: print, error: print };
  const checked = await checkNetwork(system, facts, flags, log);
  const container = `${flags.namespace}/${flags.id}`;
  if (checked.length === 0) throw new Error(`${container} is on no network: ${facts.storePath}`);
  for (const attachment of checked) console.log(checkedLine(attachment));
  const changed = checked.filter(({ state }) => state === "changed").length;
  if (changed > 0) {
    throw new Error(`${container}: ${changed} of ${checked.length} networks changed`);
  }
}

/** Returns the state of one network as a line. Pure. */
export function checkedLine({ network, ifname, state, reason }: CheckedAttachment): string {
  switch (state) {
    case "as added":
      return `${ifname} on ${network}: as its plugins left it`;
    case "unchecked":
      return `${ifname} on ${network}: not checked, its configuration has no CHECK ` +
        "(disableCheck, or cniVersion below 0.4.0), or it is being attached";
    case "changed":
      return `${ifname} on ${network}: changed: ${reason}`;
  }
}
