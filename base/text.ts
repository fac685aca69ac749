/**
 * The rule for untrusted text (from a guest, a plugin, a file) in logs and errors: no control,
 * format or separator characters, and a limited length. Escape sequences of terminals (ECMA-48 CSI)
 * are removed as a whole.
 */

/** Nearly all text is plain and needs no expression with \p{}, which cost V8 milliseconds each. */
const PLAIN = /^[\x20-\x7e]*$/;
const QUOTED_CHARACTERS_MAX = 100;

/** Returns `text` on one line, without unprintable characters, cut to `charactersMax`. */
export function printable(text: string, charactersMax: number): string {
  const bounded = text.slice(0, 4 * charactersMax);
  return cut(withoutUnprintable(bounded).trim(), charactersMax);
}

/** Returns the lines of `text` joined by ` | `, like `printable`, cut to `charactersMax`. */
export function oneLine(text: string, charactersMax: number): string {
  return printable(
    text.slice(0, 4 * charactersMax).trim().replaceAll(/\s*\n\s*/g, " | "),
    charactersMax,
  );
}

/** Returns `text` as a JSON string, cut to a length that suits an error. */
export function quoted(text: string): string {
  const json = JSON.stringify(cut(text, QUOTED_CHARACTERS_MAX));
  return PLAIN.test(json) ? json : json.replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, "?");
}

/**
 * Replaces escape sequences, and control, format, surrogate, private and unassigned characters, and
 * line and paragraph separators. The expression is made here, at its first use: made as the module
 * loads, it would be a hundredth of a guest's boot.
 */
function withoutUnprintable(text: string): string {
  if (PLAIN.test(text)) return text;
  // deno-lint-ignore no-control-regex -- the sequences begin with ESC
  return text.replaceAll(/(?:\x1b\[[0-9;]*[A-Za-z]|[\p{C}\p{Zl}\p{Zp}])+/gu, " ");
}

/** Cuts between characters: half a surrogate pair is unprintable. */
function cut(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const isPair = (text.codePointAt(charactersMax - 1) ?? 0) > 0xffff;
  return `${text.slice(0, isPair ? charactersMax - 1 : charactersMax)}…`;
}
