import type { ProcessIo } from "../stdio/process_io.ts";

/**
 * The streams of a container whose other steps run beside their opening. The first that fails aborts all,
 * and what was opened is closed again.
 */
export async function ioOf(
  opened: Promise<ProcessIo>,
  others: readonly Promise<unknown>[],
  failed: AbortController,
): Promise<ProcessIo> {
  try {
    const [io] = await Promise.all([opened, ...others]);
    return io;
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(others);
    await opened.then((io) => io[Symbol.asyncDispose](), () => {});
    throw error;
  }
}
