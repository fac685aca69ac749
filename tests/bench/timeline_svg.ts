import { PART_TITLES, PARTS } from "./boot_parts.ts";
import type { Result, Row } from "./result.ts";
import { machineLine } from "./table.ts";

const WIDTH = 860;
const LEFT = 110;
const BAR = 30;
const TOP = 56;
const GAP = 14;
const COLOURS = ["#8d99ae", "#4d7ea8", "#9a8c98", "#e09f3e", "#d1603d", "#6a994e", "#7b5ea7"];

interface Segment {
  readonly title: string;
  readonly ms: number;
  readonly colour: string;
}

/**
 * Draws where the time of a boot goes: the medians of its parts, one after the other, and the floor
 * of the same run above them.
 *
 * @throws {Error} if the result has no boot.
 */
export function timelineSvg(result: Result): string {
  const row = (name: string): Row | undefined => result.rows.find((one) => one.name === name);
  const segments = PARTS.flatMap((part, index): Segment[] => {
    const found = row(part);
    if (found === undefined) return [];
    return [{ title: PART_TITLES[part], ms: Math.max(0, found.median), colour: COLOURS[index]! }];
  });
  if (segments.length === 0) throw new Error("no boot was measured, so there is nothing to draw");
  const floor = row("floor");
  const bars: [string, Segment[]][] = [
    ...(floor === undefined ? [] : [
      ["floor", [{ title: "floor", ms: floor.median, colour: COLOURS[0]! }]] as [
        string,
        Segment[],
      ],
    ]),
    ["boot", segments],
  ];
  const longest = Math.max(...bars.map(([, parts]) => total(parts)));
  const scale = (WIDTH - LEFT - 20) / longest;
  const legendTop = TOP + bars.length * (BAR + GAP) + 30;
  const height = legendTop + Math.ceil(segments.length / 3) * 22 + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
    `font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 22, "From the exec of QEMU to the first answer of vminitd", 'font-weight="bold"'),
    text(LEFT, 42, machineLine(result.machine), 'fill="#666" font-size="11"'),
    ...bars.flatMap(([name, parts], index) => bar(name, parts, TOP + index * (BAR + GAP), scale)),
    ...axis(longest, scale, legendTop - 26),
    ...segments.flatMap((segment, index) => legend(segment, index, legendTop)),
    "</svg>",
    "",
  ].join("\n");
}

function bar(name: string, parts: readonly Segment[], top: number, scale: number): string[] {
  let at = LEFT;
  const shapes = parts.map(({ title, ms, colour }) => {
    const width = ms * scale;
    const shape = `<rect x="${px(at)}" y="${top}" width="${px(width)}" height="${BAR}" ` +
      `fill="${colour}"><title>${title}: ${ms.toFixed(0)} ms</title></rect>`;
    at += width;
    return shape;
  });
  return [text(LEFT - 8, top + 20, name, 'text-anchor="end"'), ...shapes];
}

function axis(longest: number, scale: number, y: number): string[] {
  const step = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((one) => longest / one <= 10) ??
    10_000;
  const ticks = Array.from({ length: Math.floor(longest / step) + 1 }, (_, index) => index * step);
  return ticks.map((ms) =>
    text(LEFT + ms * scale, y, `${ms} ms`, 'text-anchor="middle" fill="#666" font-size="11"')
  );
}

function legend({ title, ms, colour }: Segment, index: number, top: number): string[] {
  const x = LEFT + (index % 3) * 245;
  const y = top + Math.floor(index / 3) * 22;
  return [
    `<rect x="${x}" y="${y - 10}" width="12" height="12" fill="${colour}"/>`,
    text(x + 18, y, `${title}: ${ms.toFixed(0)} ms`, ""),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${px(x)}" y="${px(y)}" ${attributes}>${escape(content)}</text>`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function total(parts: readonly Segment[]): number {
  return parts.reduce((sum, { ms }) => sum + ms, 0);
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
