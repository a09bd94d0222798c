// The phases of a Linux boot, told from the exits alone: each begins with an exit that only that step of the boot causes.
// The console's text is read from the writes to the serial port, so no clock outside the trace has a say.
import { EXIT_IO } from "../../kernel/abi/exits.ts";
import { ioAccess, low32 } from "../trace/fields.ts";
import type { ExitRecord } from "../trace/record.ts";

export interface PhaseName {
  /** Head of a column. */
  name: string;
  /** What ends the phase, for the reader. */
  until: string;
}

export const PHASES: PhaseName[] = [
  {
    name: "unpack",
    until: "the first exit in the upper half of the address space: the unpacked kernel runs",
  },
  {
    name: "kernel",
    until: "the first write to port 0xCFB: the kernel's PCI core looks for the bus (an `arch_initcall`)",
  },
  {
    name: "drivers",
    until:
      "0x05 written to port 0x3F9: the kernel opens the console for `/init` (8250 receive interrupts on)",
  },
  { name: "init", until: "`typevisor:…:begin` on the console: `/init` starts the command" },
  { name: "command", until: "`typevisor:…:end` on the console" },
  { name: "power-off", until: "the end of the trace" },
];

const UPPER_HALF = 1n << 63n;
const PCI_MECHANISM = 0xcfb;
const COM1_DATA = 0x3f8;
const COM1_INTERRUPT_ENABLE = 0x3f9;
/** Receiver line status and received data available: what Linux's 8250 driver enables when the port is opened. */
const RECEIVE_INTERRUPTS = 0x05;
const BEGIN = /typevisor:[0-9a-f]+:begin/;
const END = /typevisor:[0-9a-f]+:end/;
/** Longer than either line. */
const KEPT_TEXT = 64;

/** Follows a boot. Phases only advance; a step that never came leaves the boot in the phase before. */
export class BootPhases {
  /** Index into PHASES. */
  current = 0;
  private said = "";

  /** Takes the next exit. @returns the phase that it belongs to: the one that it begins, if it begins one. */
  take(record: ExitRecord): number {
    if (this.begins(record)) this.current++;
    return this.current;
  }

  private begins(record: ExitRecord): boolean {
    switch (this.current) {
      case 0:
        return record.rip >= UPPER_HALF;
      case 1:
        return written(record, PCI_MECHANISM) !== undefined;
      case 2:
        return written(record, COM1_INTERRUPT_ENABLE) === RECEIVE_INTERRUPTS;
      case 3:
        return this.says(record, BEGIN);
      case 4:
        return this.says(record, END);
      default:
        return false;
    }
  }

  private says(record: ExitRecord, line: RegExp): boolean {
    const character = written(record, COM1_DATA);
    if (character === undefined) return false;
    this.said = (this.said + String.fromCharCode(character)).slice(-KEPT_TEXT);
    return line.test(this.said);
  }
}

/** The byte that the guest writes to this port; undefined: the exit is something else. */
function written(record: ExitRecord, port: number): number | undefined {
  if (record.kind !== EXIT_IO) return undefined;
  const io = ioAccess(record);
  return io.in || io.port !== port ? undefined : low32(record.rax) & 0xff;
}
