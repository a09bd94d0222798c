// What else firmware leaves in low memory: interrupt vectors with code behind them, the BIOS data area's words that programs
// read, and code at the reset vector.
import { guestFill, guestStore16, guestStore64, guestStore8 } from "../mm/guestmem";
import { writeBiosStubs } from "./bios/stubs";
import { BDA_BASE_MEMORY_KIB, BDA_EBDA_SEGMENT, BDA_EQUIPMENT, EBDA } from "./memory-map";
import { PORT_COM1 } from "./ports";
import { Vm } from "./vm";

const BDA: u64 = 0x400;
const BDA_BYTES: u64 = 0x100;
/** BIOS data area: port of the first serial adapter. */
const BDA_COM1: u64 = 0x400;
/** One serial port. */
const EQUIPMENT: u32 = 1 << 9;

/**
 * What the processor executes at the reset vector, F000:FFF0. Firmware would start the computer anew: this does, by the reset
 * control register.
 *
 *   BA F9 0C  mov dx, 0CF9h    B0 06  mov al, 6    EE  out dx, al    F4  hlt    EB FD  jmp to the HLT
 */
const RESET_VECTOR: u64 = 0xffff0;
const RESET_CODE: u64 = 0xebf4_ee06_b00c_f9ba;
const RESET_CODE_END: u32 = 0xfd;

/** Writes them. */
export function writeFirmwareData(vm: Vm): void {
  const m = vm.memory;
  writeBiosStubs(m);
  guestStore64(m, RESET_VECTOR, RESET_CODE);
  guestStore8(m, RESET_VECTOR + 8, RESET_CODE_END);
  guestFill(m, BDA, 0, BDA_BYTES);
  guestStore16(m, BDA_COM1, PORT_COM1);
  guestStore16(m, BDA_EBDA_SEGMENT, <u32>(EBDA >> 4));
  guestStore16(m, BDA_EQUIPMENT, EQUIPMENT);
  guestStore16(m, BDA_BASE_MEMORY_KIB, <u32>(EBDA >> 10));
}
