// Adds to a function's text what depends on where its code is in the sources: lines for debuggers, labels for the symbol table.
import type { TrapKind } from "../ir/ir.ts";
import type { Code, Mark } from "./emit.ts";

/** A place in the code that the symbol table speaks about: its label, and what is known of it. */
export interface Site {
  label: string;
  /** Byte offset in the module, which the source map turns into a line. */
  loc: number;
  trap: TrapKind | null;
  /** Bytes between the stack pointer and the return address from here on. */
  frameBytes: number;
}

/** What is known of the places in a module. */
export interface Positions {
  /** Text to put before an instruction from this place, or "". */
  lineDirective: (loc: number) => string;
  /** Whether a place is in the function itself, not in code inlined into it. */
  isOwn: (loc: number) => boolean;
  /** Whether two places are the same source line. */
  sameLine: (a: number, b: number) => boolean;
}

/** The function's text with directives and labels in place of its marks. */
export function placeMarks(
  code: Code,
  symbol: string,
  positions: Positions,
): { text: string[]; sites: Site[] } {
  const text: string[] = [];
  const sites: Site[] = [];
  let lastLine = "";
  let last: Mark | null = null;
  const place = (mark: Mark): void => {
    const { loc, trap, frameBytes } = mark;
    const directive = positions.lineDirective(loc);
    if (directive && directive !== lastLine) text.push(directive);
    lastLine = directive;
    if (!mark.isSite) return;
    const isKnown = last && positions.sameLine(last.loc, loc) && frameBytes === last.frameBytes;
    if (isKnown && !trap) return;
    last = mark;
    const label = `.L${sites.length}`;
    text.push(`${label}:`);
    sites.push({ label: `${symbol}${label}`, loc, trap, frameBytes });
  };
  // The size of a frame that begins with the function counts from the first instruction.
  place({ loc: entryLoc(code, positions), isSite: true, trap: null, frameBytes: code.frameBytes });
  for (const part of code.text) {
    if (typeof part === "string") text.push(part);
    else place(part);
  }
  return { text, sites };
}

/** The place that the prologue belongs to: the first of the function's own, not of inlined code. */
function entryLoc({ entryLocs }: Code, { isOwn }: Positions): number {
  return entryLocs.find(isOwn) ?? entryLocs[0] ?? 0;
}
