/** The part of `scripts/demo` that runs in the testbed. */

const IMAGE = "docker.io/library/busybox:latest";
const SCRIPT = "echo hello from a container; uname -r; grep MemTotal /proc/meminfo; exit 42";
const EXIT_CODE = 42;
const LOG_FILE = "/var/log/qemubox/qemubox.log";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

async function runContainer(): Promise<Outcome> {
  const args = ["run", "--rm", "--runtime", "io.containerd.qemubox.v1", IMAGE, "demo"];
  console.log(`\n  $ ctr ${args.join(" ")} sh -c '${SCRIPT}'`);
  const started = performance.now();
  const output = await new Deno.Command("ctr", {
    args: [...args, "sh", "-c", SCRIPT],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return {
    code: output.code,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
    seconds: (performance.now() - started) / 1000,
  };
}

/** Returns what is wrong with the outcome, one sentence each. */
export function complaints({ code, stdout }: Outcome, hostKernel: string): string[] {
  const [greeting, guestKernel = ""] = stdout.split("\n");
  return [
    ...(code === EXIT_CODE ? [] : [`exit code is ${code}, not ${EXIT_CODE}`]),
    ...(greeting === "hello from a container" ? [] : ["container's output did not arrive"]),
    ...(guestKernel.endsWith("-qemubox") ? [] : [`kernel "${guestKernel}" is not qemubox's`]),
    ...(guestKernel === hostKernel ? ["container runs on the host's kernel"] : []),
  ];
}

async function main(): Promise<number> {
  const hostKernel = Deno.osRelease();
  console.log("A container in its own microVM, started by containerd through qemubox's shim:");
  const outcome = await runContainer();
  for (const line of (outcome.stdout + outcome.stderr).trimEnd().split("\n")) {
    console.log(`  | ${line}`);
  }
  const log = await Deno.readTextFile(LOG_FILE).catch(() => "");
  const timeline = /boot timeline[^"]*/.exec(log)?.[0];
  console.log(`\n  exit code        ${outcome.code}   (the container exited with ${EXIT_CODE})`);
  console.log(`  host's kernel    ${hostKernel}`);
  console.log(`  guest's kernel   ${outcome.stdout.split("\n")[1] ?? "?"}`);
  console.log(`  total time       ${outcome.seconds.toFixed(1)} s`);
  if (timeline !== undefined) console.log(`  ${timeline}`);
  for (const warning of log.matchAll(/level=warning msg="(no KVM[^"]*)"/g)) {
    console.log(`  note: ${warning[1]}`);
  }
  const wrong = complaints(outcome, hostKernel);
  for (const complaint of wrong) console.log(`\nFAILED: ${complaint}`);
  if (wrong.length === 0) {
    console.log("\nThe container ran on its own kernel. Try it yourself:");
    console.log(
      `  scripts/testbed ctr run --rm --runtime io.containerd.qemubox.v1 ${IMAGE} t1 sh`,
    );
    return 0;
  }
  if (log !== "") console.log(`\nend of ${LOG_FILE}:\n${log.slice(-3000)}`);
  return 1;
}

if (import.meta.main) Deno.exit(await main());
