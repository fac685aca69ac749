import { LoggerProcess, type OutputKind } from "./logger_process.ts";
import { openOutput, type OutputTarget } from "./stdio_target.ts";

/**
 * Opens the addresses that containerd names in `stdout` and `stderr`; an empty one is skipped. One
 * logging program takes both streams if both name it.
 *
 * @param environment variables of the loggers, which name the container.
 * @throws {RefusedError} if one cannot be opened. Nothing stays open then.
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

/** Targets of the output of one process. */
export interface Outputs {
  readonly targets: readonly { readonly kind: OutputKind; readonly target: OutputTarget }[];
  /** Ends the loggers after the targets are disposed. Resolves when they have exited. */
  end(): Promise<void>;
}
