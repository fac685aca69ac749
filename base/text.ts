/**
 * The rule for untrusted text (from a guest, a plugin, a file) in logs and errors: no control,
 * format or separator characters, and a limited length. Escape sequences of terminals (ECMA-48 CSI)
 * are removed as a whole.
 */

// deno-lint-ignore no-control-regex
const UNSHOWN = /(?:\x1b\[[0-9;]*[A-Za-z]|[\p{C}\p{Zl}\p{Zp}])+/gu;
// Control, format, surrogate, private and unassigned characters; line and paragraph separators.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]+/gu;
const QUOTED_CHARACTERS_MAX = 100;

/** Returns `text` on one line, without unprintable characters, cut to `charactersMax`. */
export function printable(text: string, charactersMax: number): string {
  const bounded = text.slice(0, 4 * charactersMax);
  return cut(
    bounded.replaceAll(UNSHOWN, " ").trim(),
    charactersMax,
  );
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
  return JSON.stringify(cut(text, QUOTED_CHARACTERS_MAX)).replaceAll(UNPRINTABLE, "?");
}

function cut(text: string, charactersMax: number): string {
  return text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
}
