/**
 * `scripts/demo`: builds everything, runs one container in its microVM beside a private containerd,
 * and shows what happened. The first run takes minutes (it builds a kernel), later ones seconds.
 */

import { messageOf } from "../base/mod.ts";
import { say } from "./lib/log.ts";
import { REPOSITORY } from "./lib/paths.ts";
import { testbed } from "./testbed.ts";

if (import.meta.main) {
  say("setting up; this takes minutes the first time, because it builds a kernel");
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
    console.error(`demo: ${messageOf(error)}`);
    Deno.exit(1);
  }
}
