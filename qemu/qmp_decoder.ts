import { printable, quoted } from "../base/mod.ts";
import { VmError } from "./error.ts";

/** Longest line accepted. QEMU's answers to our commands have a few hundred bytes. */
export const QMP_LINE_BYTES_MAX = 1024 * 1024;

/** Longest part of an error's class and description that is kept. */
const TEXT_CHARACTERS_MAX = 500;
const NEWLINE = 0x0a;

/** Decodes a byte stream into QMP messages, wherever the chunks are split. */
export class QmpDecoder {
  #pieces: Uint8Array[] = [];
  #length = 0;

  /**
   * Yields the messages that `chunk` completes.
   *
   * @throws VmError `protocol` for a line that is too long or is not QMP; push nothing after
   *   that.
   */
  *push(chunk: Uint8Array): Generator<QmpMessage> {
    let rest = chunk;
    for (;;) {
      const end = rest.indexOf(NEWLINE);
      const piece = end === -1 ? rest : rest.subarray(0, end);
      this.#length += piece.length;
      if (this.#length > QMP_LINE_BYTES_MAX) {
        throw new VmError("protocol", `QMP line has more than ${QMP_LINE_BYTES_MAX} bytes`);
      }
      this.#pieces.push(piece.slice());
      if (end === -1) return;
      const line = this.#takeLine();
      if (line.trim() !== "") yield parseQmpLine(line);
      rest = rest.subarray(end + 1);
    }
  }

  #takeLine(): string {
    const line = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      line.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#length = 0;
    return new TextDecoder().decode(line);
  }
}

/**
 * Decodes one line. Pure.
 *
 * @throws VmError `protocol` if it is not a QMP message.
 */
export function parseQmpLine(line: string): QmpMessage {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw notQmp(line);
  }
  if (!isRecord(value)) throw notQmp(line);
  if (isRecord(value["QMP"])) return { kind: "greeting", version: versionOf(value["QMP"]) };
  if (typeof value["event"] === "string") {
    const data = value["data"];
    return { kind: "event", name: value["event"], data: isRecord(data) ? data : {} };
  }
  const id = value["id"];
  if (isRecord(value["error"])) {
    const { class: type, desc } = value["error"];
    return {
      kind: "error",
      id: isId(id) ? id : null,
      class: typeof type === "string" ? printable(type, TEXT_CHARACTERS_MAX) : "GenericError",
      description: typeof desc === "string"
        ? printable(desc, TEXT_CHARACTERS_MAX)
        : "no description",
    };
  }
  if ("return" in value && isId(id)) return { kind: "return", id, value: value["return"] };
  throw notQmp(line);
}

/** One line of QMP, decoded (QEMU: docs/interop/qmp-spec.rst). */
export type QmpMessage =
  | { readonly kind: "greeting"; readonly version: string }
  | { readonly kind: "return"; readonly id: number; readonly value: unknown }
  | {
    readonly kind: "error";
    /** null if QEMU could not even read the command's id. */
    readonly id: number | null;
    readonly class: string;
    readonly description: string;
  }
  | QmpEvent;

/** An event of QEMU. */
export interface QmpEvent {
  readonly kind: "event";
  /** "SHUTDOWN", "RESET", … */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function versionOf(greeting: Record<string, unknown>): string {
  const version = greeting["version"];
  const qemu = isRecord(version) ? version["qemu"] : undefined;
  if (!isRecord(qemu)) return "unknown";
  const parts = [qemu["major"], qemu["minor"], qemu["micro"]];
  // Of anything else, String may throw or be as long as the line.
  return parts.every(isId) ? parts.join(".") : "unknown";
}

function isId(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function notQmp(line: string): VmError {
  return new VmError("protocol", `not a QMP message: ${quoted(line)}`);
}
