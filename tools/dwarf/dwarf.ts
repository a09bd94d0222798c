// DWARF debugging information of compiled TypeScript: lines, functions, and the functions that were inlined into them. The image
// and the WebAssembly module of a replay have the same.
// (DWARF Debugging Information Format, version 4, "Subroutine and Entry Point Entries")
import type { Scope, Scopes } from "../aot/symtab/scopes.ts";
import {
  ABSTRACT_ORIGIN,
  address,
  byte,
  CALL_FILE,
  CALL_LINE,
  COMP_DIR,
  count,
  DECL_FILE,
  DECL_LINE,
  EntryWriter,
  HIGH_PC,
  INLINE,
  LANGUAGE,
  LOW_PC,
  NAME,
  PRODUCER,
  place,
  RANGES,
  STMT_LIST,
  TAG_COMPILE_UNIT,
  TAG_INLINED_SUBROUTINE,
  TAG_SUBPROGRAM,
  text,
  word,
} from "./entries.ts";
import { type Code, type Inlined, inlinedCalls } from "./inlining.ts";
import { Files, lineSection } from "./lines.ts";
import { Section, type SectionName, withLength } from "./section.ts";

const VERSION = 4;
/** DWARF has no code for TypeScript. As for C, names are not mangled, and debuggers read C's expressions. */
const LANGUAGE_C99 = 0x0c;
/** DW_INL_inlined: inlined, though nobody asked for it. */
const INLINED = 1;

export interface DwarfOptions {
  /** Size of an address of the code. */
  addressBytes: 4 | 8;
  /** Name of the compilation. */
  name: string;
  /** Bytes of code; all functions are within. */
  textBytes: number;
  /** Folder from which the files' paths count; absent: whatever folder the debugger is in. */
  folder?: string;
  /** The path of a source file, absolute or from that folder; absent: its name. */
  pathOf?: (file: string) => string;
}

export type Dwarf = Record<SectionName, Section>;

/** @param functions in ascending order. @param sources the functions of the source files. */
export function dwarfOf(functions: readonly Code[], sources: Scopes, options: DwarfOptions): Dwarf {
  return new Unit(sources, options).write(functions);
}

class Unit {
  private readonly files = new Files();
  private readonly info: Section;
  private readonly entries: EntryWriter;
  private readonly ranges: Section;
  /** Entries of the functions that are inlined somewhere, by name and file: what their copies have in common. */
  private readonly abstract = new Map<string, number>();

  constructor(
    private readonly scopes: Scopes,
    private readonly options: DwarfOptions,
  ) {
    this.info = new Section(options.addressBytes);
    this.ranges = new Section(options.addressBytes);
    this.entries = new EntryWriter(this.info);
  }

  write(functions: readonly Code[]): Dwarf {
    const all = functions.map((code) => ({ code, inlined: inlinedCalls(code, this.scopes) }));
    // The length comes in front later: until then, offsets of entries are short of its four bytes.
    this.info.u16(VERSION);
    this.info.reference("debug_abbrev", 0);
    this.info.u8(this.options.addressBytes);
    this.startUnit();
    for (const { inlined } of all) this.declare(inlined);
    for (const { code, inlined } of all) this.writeFunction(code, inlined);
    this.entries.end();
    return {
      debug_info: withLength(this.info),
      debug_abbrev: this.entries.finish(),
      debug_line: this.lines(functions),
      debug_ranges: this.ranges,
    };
  }

  private startUnit(): void {
    const { name, folder, textBytes } = this.options;
    this.entries.start(TAG_COMPILE_UNIT, true, [
      text(PRODUCER, "Typevisor"),
      byte(LANGUAGE, LANGUAGE_C99),
      text(NAME, name),
      ...(folder === undefined ? [] : [text(COMP_DIR, folder)]),
      place(STMT_LIST, "debug_line", 0),
      address(LOW_PC, 0),
      word(HIGH_PC, textBytes),
    ]);
  }

  /** Writes the abstract entries of inlined functions, each once. */
  private declare(inlined: Iterable<Inlined>): void {
    for (const { scope, calls } of inlined) {
      if (!this.abstract.has(keyOf(scope))) {
        const at = this.entries.start(TAG_SUBPROGRAM, false, [
          ...this.declaration(scope),
          byte(INLINE, INLINED),
        ]);
        this.abstract.set(keyOf(scope), at);
      }
      this.declare(calls.values());
    }
  }

  private declaration(scope: Scope): Parameters<EntryWriter["start"]>[2] {
    const name = text(NAME, scope.name.replace("#", "."));
    if (scope.file === "") return [name];
    const line = this.scopes.declaration(scope.file, scope.name);
    return [name, count(DECL_FILE, this.files.number(scope.file)), count(DECL_LINE, line)];
  }

  private writeFunction({ scope, start, end }: Code, inlined: readonly Inlined[]): void {
    const abstract = this.abstract.get(keyOf(scope));
    this.entries.start(TAG_SUBPROGRAM, inlined.length > 0, [
      ...(abstract === undefined ? this.declaration(scope) : [this.origin(abstract)]),
      address(LOW_PC, start),
      word(HIGH_PC, end - start),
    ]);
    this.writeInlined(inlined);
  }

  /** Ends with the mark that ends the children of the entry around them, if there are any. */
  private writeInlined(inlined: readonly Inlined[]): void {
    for (const { scope, call, ranges, calls } of inlined) {
      this.entries.start(TAG_INLINED_SUBROUTINE, calls.size > 0, [
        this.origin(this.abstract.get(keyOf(scope)) as number),
        ...this.extent(ranges),
        count(CALL_FILE, this.files.number(call.file)),
        count(CALL_LINE, call.line),
      ]);
      this.writeInlined([...calls.values()]);
    }
    if (inlined.length > 0) this.entries.end();
  }

  private origin(entry: number): ReturnType<typeof word> {
    return word(ABSTRACT_ORIGIN, entry + 4);
  }

  private extent(ranges: Inlined["ranges"]): Parameters<EntryWriter["start"]>[2] {
    const [first] = ranges;
    if (ranges.length === 1 && first) return [address(LOW_PC, first[0]), word(HIGH_PC, first[1] - first[0])];
    const at = this.ranges.length;
    for (const limit of [...ranges.flat(), 0, 0]) this.ranges.distance(limit);
    return [place(RANGES, "debug_ranges", at)];
  }

  private lines(functions: readonly Code[]): Section {
    const sequences = functions.map(({ end, places }) => ({
      rows: places.map(({ offset, position, column }) => ({ offset, ...position, column: column ?? 0 })),
      end,
    }));
    return lineSection(
      sequences,
      this.files,
      this.options.pathOf ?? ((file) => file),
      this.info.addressBytes,
    );
  }
}

function keyOf({ name, file }: Scope): string {
  return `${name}\0${file}`;
}
