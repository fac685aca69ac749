/** Passing on what a program writes while keeping the end of it, for a summary. */

const ENCODER = new TextEncoder();

/** The last lines of a text that comes in pieces. */
export class Tail {
  #lines: string[] = [""];

  /** @param charactersMax of one line */
  constructor(readonly linesMax: number, readonly charactersMax = 1000) {}

  add(text: string): void {
    const [first, ...more] = text.split("\n");
    const rest = this.#lines.pop()! + first;
    this.#lines.push(...[rest, ...more].map((line) => line.slice(0, this.charactersMax)));
    // The line that has only begun does not count yet.
    this.#lines = this.#lines.slice(-this.linesMax - 1);
  }

  get text(): string {
    const whole = this.#lines.at(-1) === "" ? this.#lines.slice(0, -1) : this.#lines;
    return whole.slice(-this.linesMax).join("\n");
  }
}

/** Writes all of `stream` to `sink` as it comes, and to `tail`. Resolves at its end. */
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
