// DWARF lines and functions for the generated code. NASM's own line table comes out wrong once `%line` names more than 127 files,
// since it writes file numbers as single bytes where the format wants LEB128, and it knows nothing of inlined functions. So the
// assembler only gets labels, and the tables are made when it has told where they are.

import { internalError } from "../aot/errors.ts";
import type { FunctionInfo } from "../aot/function-info.ts";
import type { SourcePosition } from "../aot/sourcemap.ts";
import type { Scopes } from "../aot/symtab/scopes.ts";
import { type Symbols, sourceOf } from "../aot/symtab/write.ts";
import { type Dwarf, dwarfOf } from "../dwarf/dwarf.ts";
import { withPlaces } from "../dwarf/inlining.ts";

const FUNCTION_LABEL = /^tv_function_\d+:$/;
/** Lines of assembly within which a function's first directive comes. */
const PROLOGUE_LINES = 24;
const LINE_DIRECTIVE = /^%line (\d+)\+0 (.+)$/;
const INLINED = /^;inlined (.+)$/;

const ADDRESS_BYTES = 8;

/** A place of the code by its label. */
export interface LabelledPlace {
  label: string;
  position: SourcePosition;
  callers: SourcePosition[];
}

/** The assembly source with its `%line` directives turned into labels, and what they said. */
export function labelLines(asm: string): { asm: string; places: LabelledPlace[] } {
  const places: LabelledPlace[] = [];
  const source = asm.split("\n");
  const lines = source.map((text, i) => {
    if (FUNCTION_LABEL.test(text)) {
      // A function's first instructions save registers, before the first directive: they belong to its line.
      const next = source.slice(i + 1, i + PROLOGUE_LINES).findIndex((line) => LINE_DIRECTIVE.test(line));
      if (next >= 0) places.push({ label: text.slice(0, -1), ...directiveAt(source, i + 1 + next) });
      return text;
    }
    if (!LINE_DIRECTIVE.test(text)) return text;
    const label = `..@line${i}`;
    places.push({ label, ...directiveAt(source, i) });
    return `${label}:`;
  });
  return { asm: lines.join("\n"), places };
}

function directiveAt(source: readonly string[], at: number): Omit<LabelledPlace, "label"> {
  const [, line, file] = LINE_DIRECTIVE.exec(source[at] as string) as unknown as [string, string, string];
  const callers = INLINED.exec(source[at + 1] ?? "")?.[1]?.split(" ") ?? [];
  return { position: { file, line: Number(line) }, callers: callers.map(parsePosition) };
}

function parsePosition(text: string): SourcePosition {
  const colon = text.lastIndexOf(":");
  return { file: text.slice(0, colon), line: Number(text.slice(colon + 1)) };
}

/**
 * The image's debugging information: `functions` as the compiler returned them, `symbols` of the object file that NASM made,
 * `sources` the functions of the source files.
 */
export function debugInformation(
  functions: readonly FunctionInfo[],
  places: readonly LabelledPlace[],
  symbols: Symbols,
  sources: Scopes,
): Dwarf {
  const offset = (label: string) => {
    const value = symbols.get(label);
    if (value === undefined) throw internalError(`the object file has no symbol ${label}`);
    return Number(value);
  };
  const placed = places.map(({ label, position, callers }) => ({ offset: offset(label), position, callers }));
  // Sorting is stable: of places without an instruction in between the last one stays last.
  placed.sort((a, b) => a.offset - b.offset);
  const codes = functions
    .map((info) => ({
      scope: sourceOf(info),
      start: offset(info.symbol),
      end: offset(`${info.symbol}.end`),
    }))
    .sort((a, b) => a.start - b.start);
  const textBytes = offset("tv_text_end");
  return dwarfOf(withPlaces(codes, placed), sources, {
    addressBytes: ADDRESS_BYTES,
    name: "kernel",
    textBytes,
  });
}
