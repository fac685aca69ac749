/** Passes the output of a program on and keeps its last lines for a summary. */

const ENCODER = new TextEncoder();

/** Keeps the last lines of a text that arrives in chunks. */
export class Tail {
  #lines: string[] = [""];

  /** @param charactersMax to which each line is cut */
  constructor(readonly linesMax: number, readonly charactersMax = 1000) {}

  add(text: string): void {
    const [first, ...more] = text.split("\n");
    const rest = this.#lines.pop()! + first;
    this.#lines.push(...[rest, ...more].map((line) => line.slice(0, this.charactersMax)));
    // An incomplete last line does not count yet.
    this.#lines = this.#lines.slice(-this.linesMax - 1);
  }

  get text(): string {
    const whole = this.#lines.at(-1) === "" ? this.#lines.slice(0, -1) : this.#lines;
    return whole.slice(-this.linesMax).join("\n");
  }
}

/** Writes `stream` to `sink`, as it arrives, and to `tail`. Resolves at its end. */
export async function passOn(
  stream: ReadableStream<Uint8Array>,
  sink: { writeSync(data: Uint8Array): number },
  tail: Tail,
): Promise<void> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    tail.add(text);
    const data = ENCODER.encode(text);
    for (let at = 0; at < data.length;) at += sink.writeSync(data.subarray(at));
  }
}
