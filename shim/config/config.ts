import type * as z from "zod";
import { messageOf, quoted, readIfPresent } from "../../base/mod.ts";
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

/** `x_y` → `xY`; `x_seconds` → `xMs`, since a time is in milliseconds once it is read. */
type Camel<Key extends string> = Key extends `${infer Head}_seconds` ? `${Camel<Head>}Ms`
  : Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}`
  : Key;
type ValueOf<One> = One extends Setting<infer Schema, infer Default>
  ? z.output<Schema> | (Default extends null ? null : never)
  : never;

/**
 * Settings of an administrator and, within the allow-list, of a container, by the file's keys in
 * camel case (settings.ts describes them). Precedence: annotation, environment variable, file,
 * default.
 */
export type Config = {
  readonly [Key in SettingKey as Camel<Key>]: ValueOf<typeof SETTINGS[Key]>;
};

export const CONFIG_PATH = "/etc/qemubox/config.json";

/** Error for an unknown key or an invalid value; the message names key and origin. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Variables that begin like settings and are none: marks of our processes, and input of tests. */
const OTHER_VARIABLES = /^QEMUBOX_(VM$|LAB$|TEST|CONFORMANCE_)/;
const KEYS = Object.keys(SETTINGS) as SettingKey[];

/** Sources of settings. */
export interface ConfigSources {
  /** Text of the configuration file; null if there is none. */
  readonly file: string | null;
  readonly environment: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

type Values = Partial<Record<SettingKey, unknown>>;

/**
 * Returns the settings that apply to one container. Pure.
 *
 * @throws {ConfigError} naming the key, its source and the valid values.
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

/** Returns the property of `Config` for a key. */
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
    throw new ConfigError(`${CONFIG_PATH} is not JSON: ${messageOf(error)}`);
  }
  const parsed = SCHEMA.safeParse(value);
  if (!parsed.success) throw new ConfigError(`${CONFIG_PATH}: ${explain(parsed.error)}`);
  return parsed.data;
}

/** A source with one text per setting. */
interface NamedSource {
  readonly kind: string;
  readonly nameOf: (key: SettingKey) => string | null;
  /** Names with this prefix are settings, or are refused. */
  readonly prefix: string;
  readonly isOther: (name: string) => boolean;
  /** Known names that are not settings. */
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
      throw new ConfigError(`${kind} ${name}=${quoted(text)}: ${explain(parsed.error)}`);
    }
    found[key] = parsed.data;
  }
  for (const name of Object.keys(values)) {
    if (!name.startsWith(prefix) || known.has(name) || isOther(name)) continue;
    throw new ConfigError(`${kind} ${name} is unknown: use one of ${[...known].join(", ")}`);
  }
  return found;
}

function explain(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`.trim()).join("; ");
}

/**
 * Returns the settings of the configuration file, the environment of this process and
 * `annotations`.
 *
 * @throws {ConfigError} as `resolveConfig`, and if the file exists but cannot be read.
 */
export function loadConfig(annotations: Readonly<Record<string, string>> = {}): Config {
  return resolveConfig({
    file: readFile(CONFIG_PATH),
    environment: Deno.env.toObject(),
    annotations,
  });
}

function readFile(path: string): string | null {
  try {
    return readIfPresent(path);
  } catch (error) {
    throw new ConfigError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
