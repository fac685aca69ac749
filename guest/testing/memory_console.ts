import type { Console } from "../base/console.ts";

/** A console that keeps its lines, for tests. */
export function memoryConsole(): Console & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, raw: (text) => lines.push(text), log: (message) => lines.push(message) };
}
