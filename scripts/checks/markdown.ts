/** Parts of a Markdown document. */

/** A link to another file or heading. */
export interface Link {
  /** Relative path; "" for the document itself. */
  readonly path: string;
  /** Anchor of a heading there; null without one. */
  readonly anchor: string | null;
}

/** The relative links of a document, images included. */
export function linksOf(text: string): Link[] {
  const found = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return found.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const [path, anchor] = target.split("#", 2);
    return { path: path!, anchor: anchor ?? null };
  });
}

/** The anchors that GitHub gives a document's headings. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title] of withoutCode(text, false).matchAll(/^#{1,6} +(.+)$/gm)) {
    const anchor = title!.trim().toLowerCase()
      .replace(/\]\([^)]*\)/g, "")
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

/** The tables of a document, or of its section of level 2 with that heading, as rows of cells. */
export function tablesOf(text: string, heading?: string): string[][][] {
  const section = heading === undefined
    ? text
    : text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const tables = section.match(/(?:^\|.*\n?)+/gm) ?? [];
  return tables.map((table) =>
    table.trim().split("\n")
      .filter((line) => !/^\|[-: |]+\|$/.test(line))
      // A bar that is escaped does not end a cell.
      .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
  );
}

/** Without fenced code and, unless `spans` is false, without code spans. */
function withoutCode(text: string, spans = true): string {
  const prose = text.replace(/^( *```).*\n[^]*?^\1 *$/gm, "");
  return spans ? prose.replace(/`[^`]*`/g, "") : prose;
}
