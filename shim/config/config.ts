import type * as z from "zod";
import {
  ANNOTATION_PREFIX,
  annotationOf,
  NETWORK_ANNOTATIONS,
  SCHEMA,
  type Setting,
  type SettingKey,
  SETTINGS,
  variableOf,
} from "./settings.ts";

/** `x_y` → `xY`; a time in seconds is one in milliseconds once it is read. */
type Camel<Key extends string> = Key extends `${infer Head}_seconds` ? `${Camel<Head>}Ms`
  : Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}`
  : Key;
type ValueOf<One> = One extends Setting<infer Schema, infer Default>
  ? z.output<Schema> | (Default extends null ? null : never)
  : never;

/**
 * What an administrator or, within the allow-list, a container may set, by the keys of the file in
 * camel case (settings.ts says what they mean). Precedence: annotation, environment variable, file,
 * default.
 */
export type Config = {
  readonly [Key in SettingKey as Camel<Key>]: ValueOf<typeof SETTINGS[Key]>;
};

export const CONFIG_PATH = "/etc/qemubox/config.json";

/** Thrown for a key or value that is not understood; the message names key and origin. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Names that begin like settings and are none: what marks our processes, and what tests are told. */
const OTHER_VARIABLES = /^QEMUBOX_(VM$|LAB$|TEST|CONFORMANCE_)/;
const KEYS = Object.keys(SETTINGS) as SettingKey[];

/** Where settings come from; `file` is the text of the configuration file, null when there is none. */
export interface ConfigSources {
  readonly file: string | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

type Values = Partial<Record<SettingKey, unknown>>;

/**
 * Reads the settings that apply to one container. Pure.
 * @throws ConfigError naming the key, where it stands and what it may be.
 */
export function resolveConfig(sources: ConfigSources): Config {
  const set: Values = {
    ...parseFile(sources.file),
    ...named(sources.environment, {
      kind: "environment variable",
      nameOf: variableOf,
      prefix: "QEMUBOX_",
      isOther: (name) => OTHER_VARIABLES.test(name),
    }),
    ...named(sources.annotations, {
      kind: "annotation",
      nameOf: annotationOf,
      prefix: ANNOTATION_PREFIX,
      isOther: () => false,
      others: Object.keys(NETWORK_ANNOTATIONS),
    }),
  };
  return Object.fromEntries(
    KEYS.map((key) => [propertyOf(key), key in set ? set[key] : defaultOf(key)]),
  ) as Config;
}

/** The name in `Config` of a key. */
export function propertyOf(key: SettingKey): keyof Config {
  return key.replace(/_seconds$/, "_ms")
    .replaceAll(/_(.)/g, (_, letter) => letter.toUpperCase()) as keyof Config;
}

function defaultOf(key: SettingKey): unknown {
  const { schema, default: value }: Setting = SETTINGS[key];
  return value === null ? null : schema.parse(value);
}

function parseFile(text: string | null): Values {
  if (text === null) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${CONFIG_PATH} is not JSON: ${(error as Error).message}`);
  }
  const parsed = SCHEMA.safeParse(value);
  if (!parsed.success) throw new ConfigError(`${CONFIG_PATH}: ${explain(parsed.error)}`);
  return parsed.data;
}

/** A source in which each setting is a text under a name of its own. */
interface NamedSource {
  readonly kind: string;
  readonly nameOf: (key: SettingKey) => string | null;
  /** A name that begins so is a setting, or is refused. */
  readonly prefix: string;
  readonly isOther: (name: string) => boolean;
  /** Names that are known and are no settings. */
  readonly others?: readonly string[];
}

function named(
  values: Readonly<Record<string, string>>,
  { kind, nameOf, prefix, isOther, others = [] }: NamedSource,
): Values {
  const found: Values = {};
  const known = new Set<string>(others);
  for (const key of KEYS) {
    const name = nameOf(key);
    if (name === null) continue;
    known.add(name);
    const text = values[name];
    if (text === undefined || text === "") continue;
    const { schema, isNumber = false }: Setting = SETTINGS[key];
    const parsed = schema.safeParse(isNumber ? Number(text) : text);
    if (!parsed.success) {
      throw new ConfigError(`${kind} ${name}=${JSON.stringify(text)}: ${explain(parsed.error)}`);
    }
    found[key] = parsed.data;
  }
  for (const name of Object.keys(values)) {
    if (!name.startsWith(prefix) || known.has(name) || isOther(name)) continue;
    throw new ConfigError(`${kind} ${name} is not known; known are ${[...known].join(", ")}`);
  }
  return found;
}

function explain(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`.trim()).join("; ");
}

/**
 * Reads file and environment of this process.
 * @throws ConfigError as `resolveConfig`, and when the file is there but cannot be read.
 */
export function loadConfig(annotations: Readonly<Record<string, string>> = {}): Config {
  return resolveConfig({
    file: readIfPresent(CONFIG_PATH),
    environment: Deno.env.toObject(),
    annotations,
  });
}

function readIfPresent(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new ConfigError(`${path} cannot be read: ${(error as Error).message}`);
  }
}
