import { z } from "zod";
import { messageOf } from "../../base/mod.ts";

/** Unit of a value. `ratio` has no unit; `M` is million instructions. */
export type Unit = "ms" | "s" | "MiB" | "MB/s" | "M" | "ratio";

const rowSchema = z.strictObject({
  name: z.string().min(1),
  unit: z.enum(["ms", "s", "MiB", "MB/s", "M", "ratio"]),
  /** Number of values. */
  n: z.int().min(1),
  min: z.number(),
  median: z.number(),
  max: z.number(),
  /** Upper limit of the median, or null if there is no goal on this machine. */
  goal: z.number().nullable(),
  met: z.boolean().nullable(),
});

const machineSchema = z.strictObject({
  cpu: z.string(),
  cpus: z.int().min(1),
  memoryMib: z.int().min(1),
  kernel: z.string(),
  accelerator: z.enum(["kvm", "tcg"]),
  vsock: z.enum(["kernel", "vhost-user"]),
  lab: z.boolean(),
  date: z.string(),
});

const resultSchema = z.strictObject({ machine: machineSchema, rows: z.array(rowSchema) });

export type Row = Readonly<z.infer<typeof rowSchema>>;
export type Machine = Readonly<z.infer<typeof machineSchema>>;
/** Result of a run of the benchmark, as `--json` prints it. */
export type Result = Readonly<z.infer<typeof resultSchema>>;

/**
 * Parses a kept result.
 *
 * @throws {Error} that names `origin` and what is wrong with the text.
 */
export function parseResult(text: string, origin: string): Result {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${origin} is not JSON: ${messageOf(error)}`);
  }
  const result = resultSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new Error(
    `${origin} is not a result of the benchmark: ${issue!.path.join(".")}: ${issue!.message}`,
  );
}
