// DWARF call-frame information for the generated code, so that debuggers walk its stack: functions keep no frame pointer.
// All that changes a frame is the prologue: pushes of saved registers, then at most one `sub rsp`.
// (DWARF Debugging Information Format, version 4, "Call Frame Information"; System V ABI, AMD64, "DWARF Register Number
// Mapping".)

const FUNCTION_LABEL = /^(tv_function_\d+|tv_text_end):$/;
const OTHER_LABEL = /^\S+:$/;
const PUSH = /^\s+push (\w+)$/;
const RESERVE = /^\s+sub rsp, (\d+)$/;

const WORD = 8;
const RETURN_ADDRESS = 16;
const STACK_POINTER = 7;
const REGISTERS: Record<string, number> = { rbx: 3, rbp: 6, r12: 12, r13: 13, r14: 14, r15: 15 };

const ADVANCE_2 = 0x03;
const DEFINE_CFA = 0x0c;
const DEFINE_CFA_OFFSET = 0x0e;
const OFFSET = 0x80;

/** One instruction of a prologue: the label behind it, the frame's size then, and the register it saved. */
interface Step {
  label: string;
  bytes: number;
  register: number | undefined;
}

/** The assembly source with labels in its prologues, and a section that describes its frames. */
export function withFrameTable(asm: string): string {
  const lines = asm.split("\n");
  const functions: { label: string; steps: Step[] }[] = [];
  for (let i = 0; i < lines.length; i++) {
    const label = FUNCTION_LABEL.exec(lines[i] as string)?.[1];
    if (label !== undefined) functions.push({ label, steps: prologue(lines, i + 1) });
  }
  if (functions.length < 2) return asm;
  const entries = functions.slice(0, -1).flatMap(({ label, steps }, i) => {
    return entry(i, label, functions[i + 1]?.label as string, steps);
  });
  return [...lines, ...commonEntry(), ...entries, ""].join("\n");
}

/** Reads a prologue that starts at line `at`, and puts a label behind each of its instructions. */
function prologue(lines: string[], at: number): Step[] {
  const steps: Step[] = [];
  let bytes = WORD;
  for (let i = at; i < lines.length; i++) {
    const line = lines[i] as string;
    if (OTHER_LABEL.test(line)) continue;
    const register = PUSH.exec(line)?.[1];
    const reserved = RESERVE.exec(line)?.[1];
    if (register === undefined && reserved === undefined) break;
    bytes += reserved === undefined ? WORD : Number(reserved);
    const label = `..@frame${i}`;
    lines[i] = `${line}\n${label}:`;
    steps.push({ label, bytes, register: register === undefined ? undefined : REGISTERS[register] });
    if (reserved !== undefined) break;
  }
  return steps;
}

/** What all functions start with: the return address on top of the stack. */
function commonEntry(): string[] {
  return [
    "section .debug_frame progbits noalloc noexec nowrite align=8",
    "debug_frame: dd .end - .start",
    `.start: dd 0xffffffff`,
    // Version, augmentation, code alignment, data alignment (-8 as signed LEB128), return-address column.
    `db 1, 0, 1, 0x78, ${RETURN_ADDRESS}`,
    `db ${DEFINE_CFA}, ${STACK_POINTER}, ${WORD}, ${OFFSET | RETURN_ADDRESS}, 1`,
    "align 8, db 0",
    ".end:",
  ];
}

function entry(number: number, label: string, end: string, steps: Step[]): string[] {
  const name = `tv_frame_${number}`;
  return [
    `${name}: dd .end - .start`,
    ".start: dd debug_frame",
    `dq ${label}, ${end} - ${label}`,
    ...steps.flatMap((step, i) => [
      `db ${ADVANCE_2}`,
      `dw ${step.label} - ${steps[i - 1]?.label ?? label}`,
      `db ${DEFINE_CFA_OFFSET}, ${uleb(step.bytes).join(", ")}`,
      ...(step.register === undefined ? [] : [`db ${OFFSET | step.register}, ${step.bytes / WORD}`]),
    ]),
    "align 8, db 0",
    ".end:",
  ];
}

/** Unsigned LEB128. */
function uleb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uleb(value >>> 7)];
}
