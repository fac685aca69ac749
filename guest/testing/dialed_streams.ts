import { type FrameReader, openStream } from "../../proto/mod.ts";
import { memoryPair } from "../../proto/testing/memory_pair.ts";
import type { StreamRegistry } from "../stdio/stream_registry.ts";

/** The host's end of a connection in memory. */
export type DialedStream = ReturnType<typeof memoryPair>[0];

/** Opens streams of a registry, as the host does. */
export class DialedStreams {
  /** One for each stream: resolves when the registry is done with it. */
  readonly served: Promise<void>[] = [];
  readonly #streams: StreamRegistry;

  constructor(streams: StreamRegistry) {
    this.#streams = streams;
  }

  /** Opens the stream `id`. @throws {Error} if the registry refuses it */
  readonly dial = async (id: string): Promise<DialedStream> => {
    const [host, guest] = memoryPair();
    this.served.push(this.#streams.serve(guest));
    await openStream(host, id);
    return host;
  };
}

/** Returns all that arrives until the end of the stream, as text. */
export async function readText(reader: FrameReader): Promise<string> {
  let text = "";
  for (let chunk; (chunk = await reader.read()) !== null;) text += new TextDecoder().decode(chunk);
  return text;
}
