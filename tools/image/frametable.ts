// DWARF call-frame information for the generated code, so that debuggers walk its stack: functions keep no frame pointer.
// The generated code says where its frames change: `;frame BYTES REGISTER…`, bytes between the stack pointer and the return
// address, and the registers saved right below that address in this order.
// (DWARF Debugging Information Format, version 4, "Call Frame Information"; System V ABI, AMD64, "DWARF Register Number
// Mapping".)

const FUNCTION_LABEL = /^(tv_function_\d+|tv_text_end):$/;
const FRAME = /^\s+;frame (\d+)([ \w]*)$/;

const WORD = 8;
const RETURN_ADDRESS = 16;
const STACK_POINTER = 7;
const REGISTERS: Record<string, number> = { rbx: 3, rbp: 6, r12: 12, r13: 13, r14: 14, r15: 15 };

const ADVANCE_4 = 0x04;
const DEFINE_CFA = 0x0c;
const DEFINE_CFA_OFFSET = 0x0e;
const OFFSET = 0x80;
const RESTORE = 0xc0;

/** A place where the frame changes: its label, the distance to the caller's frame from there on, and what is saved. */
interface Step {
  label: string;
  bytes: number;
  saved: number[];
}

/** The assembly source with labels where frames change, and a section that describes its frames. */
export function withFrameTable(asm: string): string {
  const lines = asm.split("\n");
  const functions: { label: string; steps: Step[] }[] = [];
  lines.forEach((line, i) => {
    const label = FUNCTION_LABEL.exec(line)?.[1];
    if (label !== undefined) functions.push({ label, steps: [] });
    const change = FRAME.exec(line);
    if (!change) return;
    const saved = [...change[2]!.matchAll(/\w+/g)].map(([name]) => REGISTERS[name] as number);
    const step = { label: `..@frame${i}`, bytes: WORD + Number(change[1]), saved };
    functions.at(-1)?.steps.push(step);
    lines[i] = `${step.label}:`;
  });
  if (functions.length < 2) return asm;
  const entries = functions.slice(0, -1).flatMap(({ label, steps }, i) => {
    return entry(i, label, functions[i + 1]?.label as string, steps);
  });
  return [...lines, ...commonEntry(), ...entries, ""].join("\n");
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
      `db ${ADVANCE_4}`,
      `dd ${step.label} - ${steps[i - 1]?.label ?? label}`,
      `db ${[DEFINE_CFA_OFFSET, ...uleb(step.bytes), ...changes(steps[i - 1]?.saved ?? [], step.saved)].join(", ")}`,
    ]),
    "align 8, db 0",
    ".end:",
  ];
}

/** Rules for the registers that are saved now, and for those that no longer are. */
function changes(before: number[], now: number[]): number[] {
  const gone = before.filter((r) => !now.includes(r)).map((r) => RESTORE | r);
  return [...gone, ...now.flatMap((r, i) => [OFFSET | r, i + 2])];
}

/** Unsigned LEB128. */
function uleb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uleb(value >>> 7)];
}
