// The line table. (DWARF Debugging Information Format, version 4, "Line Number Information")
import { Section, withLength } from "./section.ts";

/** From here on the code belongs to another place of the source. */
export interface Row {
  /** From the start of all code. */
  offset: number;
  file: string;
  line: number;
  /** From 1; 0: unknown. */
  column: number;
}

/** Code without gaps, with its rows in ascending order. */
export interface Sequence {
  rows: readonly Row[];
  end: number;
}

const VERSION = 4;

// Opcodes of the line-number program.
const COPY = 1;
const ADVANCE_PC = 2;
const ADVANCE_LINE = 3;
const SET_FILE = 4;
const SET_COLUMN = 5;
const EXTENDED = 0;
const END_SEQUENCE = 1;
const SET_ADDRESS = 2;
/** Operands of the standard opcodes from 1 on. */
const OPERANDS = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];

// Special opcodes, from `FIRST_SPECIAL` on, advance address and line at once, and make a row.
const FIRST_SPECIAL = OPERANDS.length + 1;
const LINE_BASE = -5;
const LINE_RANGE = 14;
const LAST_OPCODE = 255;

/** The files of a line table, numbered from 1. An empty name is none, number 0: in the table it would be the end. */
export class Files {
  private readonly numbers = new Map<string, number>();

  number(name: string): number {
    if (name === "") return 0;
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    this.numbers.set(name, this.numbers.size + 1);
    return this.numbers.size;
  }

  get names(): string[] {
    return [...this.numbers.keys()];
  }
}

/** @param pathOf the path under which a file is found, absolute or from the compilation's folder. */
export function lineSection(
  sequences: readonly Sequence[],
  files: Files,
  pathOf: (file: string) => string,
  addressBytes: 4 | 8,
): Section {
  const programs = new Section(addressBytes);
  for (const sequence of sequences) writeSequence(programs, sequence, files);
  const header = new Section(addressBytes);
  // Smallest instruction, operations per instruction, is_stmt.
  header.u8(1, 1, 1, LINE_BASE & 0xff, LINE_RANGE, FIRST_SPECIAL, ...OPERANDS);
  // No include directories.
  header.u8(0);
  for (const name of files.names) {
    header.text(pathOf(name));
    // Directory, date, length: unknown.
    header.u8(0, 0, 0);
  }
  header.u8(0);
  const unit = new Section(addressBytes);
  unit.u16(VERSION);
  unit.append(withLength(header));
  unit.append(programs);
  return withLength(unit);
}

function writeSequence(out: Section, { rows, end }: Sequence, files: Files): void {
  const [first] = rows;
  if (!first) return;
  out.u8(EXTENDED);
  out.uleb(1 + out.addressBytes);
  out.u8(SET_ADDRESS);
  out.address(first.offset);
  const state = { offset: first.offset, file: 1, line: 1, column: 0 };
  for (const [i, row] of rows.entries()) {
    // Of several places at one address the last one has the instruction.
    if (row.offset === (rows[i + 1]?.offset ?? end)) continue;
    const file = files.number(row.file);
    if (file !== state.file) {
      out.u8(SET_FILE);
      out.uleb(file);
    }
    if (row.column !== state.column) {
      out.u8(SET_COLUMN);
      out.uleb(row.column);
    }
    writeRow(out, row.offset - state.offset, row.line - state.line);
    Object.assign(state, { offset: row.offset, file, line: row.line, column: row.column });
  }
  out.u8(ADVANCE_PC);
  out.uleb(end - state.offset);
  out.u8(EXTENDED, 1, END_SEQUENCE);
}

function writeRow(out: Section, advance: number, lines: number): void {
  const special = lines - LINE_BASE + LINE_RANGE * advance + FIRST_SPECIAL;
  if (lines >= LINE_BASE && lines < LINE_BASE + LINE_RANGE && special <= LAST_OPCODE) return out.u8(special);
  if (advance !== 0) {
    out.u8(ADVANCE_PC);
    out.uleb(advance);
  }
  if (lines !== 0) {
    out.u8(ADVANCE_LINE);
    out.sleb(lines);
  }
  out.u8(COPY);
}
