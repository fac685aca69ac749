/** Longest identifier that containerd accepts, in characters. */
export const IDENTIFIER_CHARACTERS_MAX = 76;
const IDENTIFIER = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;

/**
 * Returns whether containerd accepts `text` as a namespace, a container id or an exec id
 * (pkg/identifiers): letters and digits, with single separators (`.`, `_`, `-`) between them. So
 * two identifiers joined by `--` make a unique name, and no identifier is a path or an option.
 */
export function isIdentifier(text: string): boolean {
  return text.length <= IDENTIFIER_CHARACTERS_MAX && IDENTIFIER.test(text);
}
