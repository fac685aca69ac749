import type { Console } from "../base/console.ts";

/** Returns a console that collects its lines. */
export function memoryConsole(): Console & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, raw: (text) => lines.push(text), log: (message) => lines.push(message) };
}
