/**
 * `scripts/demo`: builds all there is, runs one container in its own microVM beside a containerd of
 * its own, and tells what happened. The first run takes minutes (it builds a kernel), later ones
 * seconds.
 */

import { say } from "./lib/log.ts";
import { REPOSITORY } from "./lib/paths.ts";
import { testbed } from "./testbed.ts";

if (import.meta.main) {
  say("setting up: the first time this takes minutes, because a kernel is built");
  try {
    const inside = [
      "deno",
      "run",
      "--quiet",
      "--allow-all",
      `${REPOSITORY}/scripts/demo_inside.ts`,
    ];
    Deno.exit(await testbed({ debug: false, labMinutes: null, command: inside }));
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
