// The computer's pair of 8259 interrupt controllers: moved away from the exceptions and masked, or, on a computer
// without IOAPIC, left as the way of single interrupts. (Intel 8259A data sheet, "Programming the 8259A".)
import { in8, out8 } from "../arch/intrinsics";

const MASTER: u32 = 0x20;
const SLAVE: u32 = 0xa0;
/** Offset of the mask register and of the later initialization words. */
const DATA: u32 = 1;

const ICW1_INIT_ICW4: u32 = 0x11;
const ICW3_MASTER: u32 = 1 << 2;
const ICW3_SLAVE: u32 = 2;
const ICW4_8086: u32 = 0x01;
const EOI: u32 = 0x20;

/** First of the sixteen vectors. */
export const PIC_VECTOR: u32 = 0x20;
const PIC_LINES: u32 = 16;
const CASCADE: u32 = 2;

/** Initializes both, with every line masked. */
export function picStart(): void {
  out8(MASTER, ICW1_INIT_ICW4);
  out8(SLAVE, ICW1_INIT_ICW4);
  out8(MASTER + DATA, PIC_VECTOR);
  out8(SLAVE + DATA, PIC_VECTOR + 8);
  out8(MASTER + DATA, ICW3_MASTER);
  out8(SLAVE + DATA, ICW3_SLAVE);
  out8(MASTER + DATA, ICW4_8086);
  out8(SLAVE + DATA, ICW4_8086);
  out8(MASTER + DATA, 0xff);
  out8(SLAVE + DATA, 0xff);
}

/** Lets a line through. */
export function picUnmask(line: u32): void {
  if (line >= 8) unmask(SLAVE, line - 8);
  unmask(MASTER, line >= 8 ? CASCADE : line);
}

function unmask(chip: u32, line: u32): void {
  out8(chip + DATA, in8(chip + DATA) & ~(1 << line));
}

/** Whether a vector comes from the pair. */
export function picOwns(vector: u32): bool {
  return vector >= PIC_VECTOR && vector < PIC_VECTOR + PIC_LINES;
}

/** Ends the interrupt in service. */
export function picEnd(vector: u32): void {
  if (vector >= PIC_VECTOR + 8) out8(SLAVE, EOI);
  out8(MASTER, EOI);
}
