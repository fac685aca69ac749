import { LoggerProcess, type OutputKind } from "./logger_process.ts";
import { openOutput, type OutputTarget } from "./stdio_target.ts";

/** Where the output of one process goes. */
export interface Outputs {
  readonly targets: readonly { readonly kind: OutputKind; readonly target: OutputTarget }[];
  /** Ends the loggers, if there are any, once the targets are disposed; resolves when they are gone. */
  end(): Promise<void>;
}

/**
 * Opens what containerd names in `stdout` and `stderr`; empty: none. One logging program takes both
 * streams when both name it.
 * @param environment what loggers are told of the container.
 * @throws RpcError when one cannot be opened; nothing stays open then.
 */
export async function openOutputs(
  addresses: Readonly<Record<OutputKind, string>>,
  environment: Readonly<Record<string, string>>,
): Promise<Outputs> {
  await using undo = new AsyncDisposableStack();
  const kinds = (["stdout", "stderr"] as const).filter((kind) => addresses[kind] !== "");
  const loggers = new Map<string, LoggerProcess>();
  const targets = [];
  for (const kind of kinds) {
    const address = addresses[kind];
    if (!address.startsWith("binary://")) {
      targets.push({ kind, target: undo.use(openOutput(address)) });
      continue;
    }
    let logger = loggers.get(address);
    if (logger === undefined) {
      const both = kinds.filter((one) => addresses[one] === address);
      logger = await LoggerProcess.start(address, both, environment);
      undo.adopt(logger, (one) => one.end(0));
      loggers.set(address, logger);
    }
    targets.push({ kind, target: logger.targets.get(kind)! });
  }
  undo.move();
  const end = async () => {
    await Promise.all([...loggers.values()].map((logger) => logger.end()));
  };
  return { targets, end };
}
