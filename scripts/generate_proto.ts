/**
 * Generates proto/gen/ from the .proto files under proto/, with buf as the compiler and
 * protoc-gen-es as the generator, both from npm: `x_pb.ts` has the types (and the codec that tests
 * compare ours with); `x_schema.ts`, written by scripts/lib/proto_schemas.ts, has the tables for
 * proto/schema/. Nothing else writes generated files.
 *
 *     scripts/deno run -A scripts/generate_proto.ts            rewrites proto/gen/
 *     scripts/deno run -A scripts/generate_proto.ts --check    exits with 1 if proto/gen/ is stale
 *
 * Exit status: 0 done; 1 stale, or an invalid .proto file; 69 (EX_UNAVAILABLE) npm is unreachable.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { listIfPresent, removeIfPresent } from "../base/mod.ts";
import { UNAVAILABLE } from "./lib/exit_status.ts";
import { schemaFiles } from "./lib/proto_schemas.ts";

// The generator must have the version of the runtime library in deno.json.
const GENERATOR = "npm:@bufbuild/protoc-gen-es@2.17.0";
// The package with the prebuilt binary: the wrapper package has a post-install script.
const COMPILER = "npm:@bufbuild/buf-linux-x64@1.75.0";

const PROTO = join(dirname(dirname(fileURLToPath(import.meta.url))), "proto");

async function main(args: string[]): Promise<number> {
  const work = await Deno.makeTempDir({ prefix: "qemubox-proto-" });
  try {
    if (!await installTools(work)) return UNAVAILABLE;
    const generated = join(work, "gen");
    if (!await generate(work, generated)) return 1;
    const committed = join(PROTO, "gen");
    if (args.includes("--check")) return await report(generated, committed);
    removeIfPresent(committed, { recursive: true });
    for (const [path, text] of await files(generated)) {
      await Deno.mkdir(dirname(join(committed, path)), { recursive: true });
      await Deno.writeTextFile(join(committed, path), text);
    }
    return 0;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function installTools(work: string): Promise<boolean> {
  const configuration = {
    nodeModulesDir: "auto",
    imports: { compiler: COMPILER, generator: GENERATOR },
  };
  await Deno.writeTextFile(join(work, "deno.json"), JSON.stringify(configuration));
  const done = await run(work, Deno.execPath(), ["install"]);
  if (!done) console.error(`${COMPILER} and ${GENERATOR} could not be installed from npm`);
  return done;
}

async function generate(work: string, out: string): Promise<boolean> {
  const template = {
    version: "v2",
    clean: true,
    plugins: [{
      local: [Deno.execPath(), "run", "--allow-all", GENERATOR],
      out,
      opt: ["target=ts", "import_extension=ts"],
    }],
  };
  const buf = join(work, "node_modules", "@bufbuild", "buf-linux-x64", "bin", "buf");
  const generated = ["generate", PROTO, "--template", JSON.stringify(template)];
  if (!await run(work, buf, generated)) return false;
  const set = join(work, "set.binpb");
  if (!await run(work, buf, ["build", PROTO, "--as-file-descriptor-set", "--output", set])) {
    return false;
  }
  for (const [path, text] of schemaFiles(await Deno.readFile(set))) {
    await Deno.mkdir(dirname(join(out, path)), { recursive: true });
    await Deno.writeTextFile(join(out, path), text);
  }
  return true;
}

async function report(generated: string, committed: string): Promise<number> {
  const [wanted, present] = [await files(generated), await files(committed)];
  const stale = [...new Set([...wanted.keys(), ...present.keys()])]
    .filter((path) => wanted.get(path) !== present.get(path)).sort();
  for (const path of stale) console.error(`proto/gen/${path} does not match the .proto files`);
  if (stale.length > 0) console.error("run scripts/deno run -A scripts/generate_proto.ts");
  return stale.length === 0 ? 0 : 1;
}

/** Text of every file below a directory, by relative path; none when the directory is absent. */
async function files(root: string, below = ""): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of listIfPresent(join(root, below))) {
    const path = join(below, entry.name);
    if (entry.isDirectory) {
      for (const [inner, text] of await files(root, path)) found.set(inner, text);
    } else {
      found.set(path, await Deno.readTextFile(join(root, path)));
    }
  }
  return found;
}

/** Runs a program; shows its output only if it failed. */
async function run(cwd: string, program: string, args: string[]): Promise<boolean> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    // Behind a proxy, only the system's store has the proxy's certificate.
    env: {
      DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "system,mozilla",
      DENO_NO_UPDATE_CHECK: "1",
    },
    stdin: "null",
  }).output();
  if (!success) { for (const output of [stdout, stderr]) await Deno.stderr.write(output); }
  return success;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
