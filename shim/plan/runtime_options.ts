import { messageOf, quoted } from "../../base/mod.ts";
import {
  type Any,
  type AnyMessageSchema,
  type MessageShape,
  runcOptions,
  runtimeOptions,
  unpackAny,
} from "../../proto/mod.ts";
import { RefusedError } from "../base/refused_error.ts";

/**
 * Checks the options that containerd was configured to give its runtime
 * (`[…runtimes.NAME.options]`). Everything that can be set is set in our own configuration: other
 * options are refused or named.
 *
 * @returns one line for each option that has no meaning here.
 * @throws RefusedError `invalid` for an unknown type, and for bytes that are not of their type.
 */
export function checkRuntimeOptions(options: Any | undefined): string[] {
  if (options === undefined || isEmpty(options)) return [];
  switch (typeNameOf(options)) {
    case runcOptions.OptionsSchema.typeName:
      return ignored(unpack(runcOptions.OptionsSchema, options));
    case runtimeOptions.OptionsSchema.typeName:
      return checkGeneric(unpack(runtimeOptions.OptionsSchema, options));
    default:
      throw unknownType("runtime options", options, [
        runcOptions.OptionsSchema.typeName,
        runtimeOptions.OptionsSchema.typeName,
      ]);
  }
}

/** Whether a request brings no options: neither a type nor bytes. */
export function isEmpty({ typeUrl, value }: Any): boolean {
  return typeUrl === "" && value.length === 0;
}

/** The name of a message's type, without the domain before it. */
export function typeNameOf({ typeUrl }: Any): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/** Makes the error for options of a type that is not in `known`. */
export function unknownType(what: string, { typeUrl }: Any, known: string[]): RefusedError {
  const why = "are not known";
  const fix = `use ${known.join(" or ")}`;
  return new RefusedError("invalid", `${what} of type ${quoted(typeUrl)}`, why, fix);
}

/** @throws RefusedError `invalid` for bytes that are not of the type. */
export function unpack<S extends AnyMessageSchema>(schema: S, options: Any): MessageShape<S> {
  try {
    return unpackAny(schema, options);
  } catch (error) {
    const why = `are malformed: ${messageOf(error)}`;
    throw new RefusedError("invalid", `options of type ${typeNameOf(options)}`, why);
  }
}

/** Options of runc say how runc is called and where: there is none on this side of the VM. */
function ignored(options: runcOptions.Options): string[] {
  const set = Object.entries(options).filter(([name, value]) => {
    return !name.startsWith("$") && value !== "" && value !== 0 && value !== false;
  });
  return set.map(([name]) => `runtime option ${name} has no meaning for a container in a VM`);
}

function checkGeneric({ configPath, configBody }: runtimeOptions.Options): string[] {
  if (configPath === "" && configBody.length === 0) return [];
  const option = configPath === "" ? "config_body" : `config_path ${configPath}`;
  const fix = "settings are read from /etc/qemubox/config.json";
  throw new RefusedError("invalid", `runtime option ${option}`, "is not supported", fix);
}
