import {
  type Any,
  Code,
  RpcError,
  runcOptions,
  runtimeOptions,
  unpackAny,
} from "../../proto/mod.ts";

/**
 * Checks the options that containerd was told to give its runtime (`[…runtimes.NAME.options]`). All
 * that can be set here is set in our own configuration; what is not ours to set is refused or named.
 *
 * @returns one line for each option that has no meaning here.
 * @throws RpcError InvalidArgument for a type that is not known, by its name, and for bytes that
 * are not of their type.
 */
export function checkRuntimeOptions(options: Any | undefined): string[] {
  if (options === undefined || (options.typeUrl === "" && options.value.length === 0)) return [];
  const type = options.typeUrl.slice(options.typeUrl.lastIndexOf("/") + 1);
  switch (type) {
    case runcOptions.OptionsSchema.typeName:
      return ignored(unpackAny(runcOptions.OptionsSchema, options));
    case runtimeOptions.OptionsSchema.typeName:
      return checkGeneric(unpackAny(runtimeOptions.OptionsSchema, options));
    default:
      throw new RpcError(
        Code.InvalidArgument,
        `runtime options of type ${JSON.stringify(options.typeUrl)} are not known; known are ` +
          `${runcOptions.OptionsSchema.typeName} and ${runtimeOptions.OptionsSchema.typeName}`,
      );
  }
}

/** Those of runc say how runc is called and where; there is none on this side of the VM. */
function ignored(options: runcOptions.Options): string[] {
  const set = Object.entries(options).filter(([name, value]) => {
    return !name.startsWith("$") && value !== "" && value !== 0 && value !== false;
  });
  return set.map(([name]) => `runtime option ${name} has no meaning for a container in a VM`);
}

function checkGeneric({ configPath, configBody }: runtimeOptions.Options): string[] {
  if (configPath === "" && configBody.length === 0) return [];
  throw new RpcError(
    Code.InvalidArgument,
    `runtime option ${configPath === "" ? "config_body" : `config_path ${configPath}`}: ` +
      "settings are read from /etc/qemubox/config.json",
  );
}
