import type { Measure } from "./measure.ts";
import { Rootfs, ShimContainer } from "./shim_container.ts";

/** Turns in one container, with each kind in each. */
const TURNS = 8;
/** Several runs in a row make up for /proc/uptime, which counts hundredths of a second. */
const CRUN_RUNS = 4;
const CRUN = "/usr/bin/crun --root /run/crun";

/**
 * An exec of `true` in a running container through the shim, against `crun exec` of the same by a
 * shell in the guest (with an `nsenter` for each) and its clock, which no runtime around crun can
 * beat.
 */
export const exec: Measure = {
  name: "exec",
  rows: { "exec": "ms", "exec-run": "ms", "crun-exec": "ms" },
  async run() {
    using rootfs = new Rootfs();
    const args = ["/bin/sleep", "3600"];
    await using container = await ShimContainer.prepare({ rootfs, args, inGuest: true });
    await container.start();
    await container.create();
    await container.task.start({ id: container.id });
    const script = crunScript(container.id);
    const [whole, run, crun]: [number[], number[], number[]] = [[], [], []];
    // The first turn only warms up.
    for (let turn = 0; turn <= TURNS; turn++) {
      const ours = await container.exec(["/bin/true"], container.stdout);
      const output = container.output();
      await container.exec(["/bin/sh", "-c", script], container.stdout);
      const own = secondsBetween(await output) * 1000 / CRUN_RUNS;
      if (turn === 0) continue;
      whole.push(ours.whole);
      run.push(ours.run);
      crun.push(own);
    }
    await container.kill();
    await container.delete();
    await container.shutdown();
    return { "exec": whole, "exec-run": run, "crun-exec": crun };
  },
};

/** Runs in the guest's root. The variable keeps crun from copying itself at each call. */
function crunScript(id: string): string {
  const once = `nsenter -t 1 -m -r ${CRUN} exec ${id} /bin/true`;
  return [
    "exec 2>&1", // to see errors
    "export _LIBCONTAINER_CLONED_BINARY=1",
    "read before _ </proc/uptime",
    ...Array.from({ length: CRUN_RUNS }, () => once),
    "read after _ </proc/uptime",
    "echo $before $after",
  ].join("; ");
}

/** Returns the difference of "BEFORE AFTER". @throws {Error} for any other text. */
function secondsBetween(text: string): number {
  const match = /^(\d+\.\d+) (\d+\.\d+)\n$/.exec(text);
  if (match === null) throw new Error(`the shell in the guest wrote ${JSON.stringify(text)}`);
  return Number(match[2]) - Number(match[1]);
}
