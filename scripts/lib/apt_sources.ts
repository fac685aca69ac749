/**
 * Finds the Debian mirror that this host uses in its apt configuration, so that the repository
 * names no mirror. See sources.list(5).
 */

/** One line, or one URI and suite of a stanza, in an apt configuration. */
export interface AptSource {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
}

/** Returns the `deb` lines of a file in the one-line format (`*.list`). */
export function parseListFile(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)\s*(?:#.*)?$/
      .exec(line);
    if (match === null) return [];
    return [{ uri: match[1]!, suite: match[2]!, components: words(match[3]!) }];
  });
}

/** Returns the `deb` entries of a file in deb822 format (`*.sources`), one per URI and suite. */
export function parseSourcesFile(text: string): AptSource[] {
  return text.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const fields = parseStanza(stanza);
    const enabled = fields.get("enabled")?.toLowerCase() ?? "yes";
    if (["no", "false", "without", "off", "disable"].includes(enabled)) return [];
    if (!words(fields.get("types") ?? "").includes("deb")) return [];
    const components = words(fields.get("components") ?? "");
    return words(fields.get("uris") ?? "").flatMap((uri) =>
      words(fields.get("suites") ?? "").map((suite) => ({ uri, suite, components }))
    );
  });
}

/** Field name in lower case → value; lines that begin with a blank continue the field before. */
function parseStanza(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last: string | null = null;
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue;
    const field = /^([^\s:]+):[ \t]*(.*)$/.exec(line);
    if (field !== null) {
      last = field[1]!.toLowerCase();
      fields.set(last, field[2]!.trim());
    } else if (/^[ \t]/.test(line) && last !== null) {
      fields.set(last, `${fields.get(last)} ${line.trim()}`);
    }
  }
  return fields;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

/**
 * Returns the mirror of Debian's main archive among `sources`: the first with component main that
 * serves one of `releases` (the names of the host's release) or else any plain suite of Debian.
 * Security and third-party archives have other suites and are skipped. Null if there is none.
 */
export function mirrorOf(
  sources: readonly AptSource[],
  releases: readonly string[],
): string | null {
  const main = sources.filter(({ uri, components }) =>
    components.includes("main") && /^(https?|file|ftp|mirror(\+\w+)?|copy):/.test(uri)
  );
  const found = main.find(({ suite }) => releases.includes(suite)) ??
    main.find(({ suite }) => DEBIAN_SUITES.includes(suite));
  return found === undefined ? null : found.uri.replace(/\/+$/, "");
}

const DEBIAN_SUITES: readonly string[] = [
  ...["stable", "testing", "unstable", "oldstable", "sid"],
  ...["bookworm", "trixie", "forky", "duke"],
];

/**
 * Returns the host's mirror of Debian's main archive.
 *
 * @throws {Error} if the host's apt configuration has none
 */
export function hostMirror(etc = "/etc"): string {
  const sources: AptSource[] = [];
  const directory = `${etc}/apt/sources.list.d`;
  const files = [
    `${etc}/apt/sources.list`,
    ...names(directory).map((name) => `${directory}/${name}`),
  ];
  for (const file of files) {
    const text = textOf(file);
    if (file.endsWith(".list")) sources.push(...parseListFile(text));
    else if (file.endsWith(".sources")) sources.push(...parseSourcesFile(text));
  }
  const codename = /^VERSION_CODENAME="?([^"\n]*)"?$/m.exec(textOf(`${etc}/os-release`))?.[1];
  const mirror = mirrorOf(sources, codename === undefined ? [] : [codename]);
  if (mirror === null) {
    throw new Error(
      `no Debian mirror with component main in ${etc}/apt/sources.list or ${directory}; ` +
        "add the mirror that this host should use",
    );
  }
  return mirror;
}

/** Names of the files in a directory, sorted; none if it cannot be read. */
function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch {
    return [];
  }
}

/** The text of a file; empty if it cannot be read. */
function textOf(file: string): string {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return "";
  }
}
