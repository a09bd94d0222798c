// DWARF line numbers for the generated code. NASM's own come out wrong once `%line` names more than 127 files: it writes file
// numbers as single bytes where the format wants LEB128. So the assembler only gets labels, and the table is data.
// (DWARF Debugging Information Format, version 4, "Line Number Information" and "Debugging Information Entry".)

const FUNCTION_LABEL = /^tv_function_\d+:$/;
/** Lines of assembly within which a function's first directive comes. */
const PROLOGUE_LINES = 24;
const LINE_DIRECTIVE = /^%line (\d+)\+0 (.+)$/;

// Opcodes of the line-number program.
const COPY = 1;
const ADVANCE_LINE = 3;
const SET_FILE = 4;
const FIXED_ADVANCE_PC = 9;
const EXTENDED = 0;
const END_SEQUENCE = 1;
const SET_ADDRESS = 2;

const DWARF_VERSION = 4;
/** Operands of the standard opcodes 1 to 12. */
const OPERANDS = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];

/** An address where another source line starts. */
interface Row {
  label: string;
  file: number;
  line: number;
}

/** The assembly source with its `%line` directives turned into labels, and a DWARF line table of them. */
export function withLineTable(asm: string): string {
  const table = new Rows();
  const source = asm.split("\n");
  const lines = source.map((text, i) => {
    if (FUNCTION_LABEL.test(text)) {
      // A function's first instructions save registers, before the first directive: they belong to its line.
      const first = LINE_DIRECTIVE.exec(
        source.slice(i + 1, i + PROLOGUE_LINES).find((l) => LINE_DIRECTIVE.test(l)) ?? "",
      );
      if (first) table.add(text.slice(0, -1), first);
      return text;
    }
    const found = LINE_DIRECTIVE.exec(text);
    return found ? `${table.add(`..@line${i}`, found)}:` : text;
  });
  if (table.rows.length === 0) return asm;
  return [...lines, ...lineSection([...table.files.keys()], table.rows), ...unitSections()].join("\n");
}

class Rows {
  readonly rows: Row[] = [];
  /** Numbers by name, from 1. */
  readonly files = new Map<string, number>();

  /** Notes that the line of a directive starts at a label, which it returns. */
  add(label: string, directive: RegExpExecArray): string {
    const name = directive[2] as string;
    if (!this.files.has(name)) this.files.set(name, this.files.size + 1);
    this.rows.push({ label, file: this.files.get(name) as number, line: Number(directive[1]) });
    return label;
  }
}

function lineSection(files: string[], rows: Row[]): string[] {
  return [
    "section .debug_line progbits noalloc noexec nowrite align=1",
    "debug_line: dd .end - .unit",
    `.unit: dw ${DWARF_VERSION}`,
    "dd .program - .header",
    // Smallest instruction, operations per instruction, is_stmt; then line base, line range and opcode base.
    `.header: db 1, 1, 1, -5, 14, ${OPERANDS.length + 1}, ${OPERANDS.join(", ")}`,
    "db 0",
    ...files.map((name) => `db ${JSON.stringify(name)}, 0, 0, 0, 0`),
    "db 0",
    ".program:",
    `db ${EXTENDED}, 9, ${SET_ADDRESS}`,
    "dq tv_text_start",
    ...program(rows),
    `db ${FIXED_ADVANCE_PC}`,
    `dw tv_text_end - ${rows.at(-1)?.label}`,
    `db ${EXTENDED}, 1, ${END_SEQUENCE}`,
    ".end:",
  ];
}

function program(rows: Row[]): string[] {
  const state = { label: "tv_text_start", file: 1, line: 1 };
  return rows.flatMap(({ label, file, line }) => {
    const bytes: number[] = [];
    if (file !== state.file) bytes.push(SET_FILE, ...uleb(file));
    if (line !== state.line) bytes.push(ADVANCE_LINE, ...sleb(line - state.line));
    const advance = `dw ${label} - ${state.label}`;
    Object.assign(state, { label, file, line });
    return [`db ${[...bytes, FIXED_ADVANCE_PC].join(", ")}`, advance, `db ${COPY}`];
  });
}

/** One compilation unit without entries of its own: it says where the line table and the code are. */
function unitSections(): string[] {
  return [
    "section .debug_abbrev progbits noalloc noexec nowrite align=1",
    // Abbreviation 1: DW_TAG_compile_unit without children: DW_AT_name, stmt_list, low_pc, high_pc.
    "debug_abbrev: db 1, 0x11, 0, 0x03, 0x08, 0x10, 0x17, 0x11, 0x01, 0x12, 0x01, 0, 0, 0",
    "section .debug_info progbits noalloc noexec nowrite align=1",
    "debug_info: dd .end - .unit",
    `.unit: dw ${DWARF_VERSION}`,
    "dd debug_abbrev",
    "db 8, 1",
    'db "kernel", 0',
    "dd debug_line",
    "dq tv_text_start, tv_text_end",
    ".end:",
    "",
  ];
}

/** Unsigned LEB128. */
function uleb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uleb(value >>> 7)];
}

/** Signed LEB128. */
function sleb(value: number): number[] {
  const last = value >= -0x40 && value < 0x40;
  return last ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...sleb(value >> 7)];
}
