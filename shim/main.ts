import { messageOf } from "../base/mod.ts";
import { type Invocation, parseInvocation } from "./commands/cli.ts";

/** Exit status of an invalid command line (EX_USAGE). */
const USAGE_STATUS = 64;
const UMASK = 0o022;

async function run(invocation: Invocation): Promise<void> {
  // Each verb loads its own part of the program: `start` is short-lived and must be fast.
  switch (invocation.verb) {
    case "version":
      return console.log((await import("./commands/info.ts")).versionText());
    case "info":
      return await info();
    case "start":
      return await (await import("./commands/start.ts")).startShim(invocation.flags);
    case "delete":
      return await (await import("./commands/delete.ts")).deleteSandbox(invocation.flags);
    case "check":
      return await (await import("./commands/check.ts")).checkNetworks(invocation.flags);
    case "serve":
      return await (await import("./commands/serve.ts")).serveShim(invocation.flags);
  }
}

async function info(): Promise<void> {
  const { readStdin } = await import("./commands/start.ts");
  const { runtimeInfo } = await import("./commands/info.ts");
  Deno.stdout.writeSync(runtimeInfo(await readStdin()));
}

/** Prints an error without a newline: containerd puts it before its own message. */
function complain(error: unknown): void {
  const text = `containerd-shim-qemubox-v1: ${messageOf(error)}`;
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

function parse(): Invocation {
  try {
    return parseInvocation(Deno.args);
  } catch (error) {
    complain(error);
    Deno.exit(USAGE_STATUS);
  }
}

const invocation = parse();
try {
  // containerd's may be 0, and not every file of ours is made with a mode.
  Deno.umask(UMASK);
  await run(invocation);
  Deno.exit(0);
} catch (error) {
  complain(error);
  Deno.exit(1);
}
