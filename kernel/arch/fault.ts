// Exceptions of the hypervisor itself. All are bugs, and most are traps of the generated code: the report says which.
// (SDM, "Exception and Interrupt Reference".)
import {
  SYMTAB_TRAP_CALL_TYPE,
  SYMTAB_TRAP_DIVIDE_BY_ZERO,
  SYMTAB_TRAP_INSTRUCTION_FAILED,
  SYMTAB_TRAP_MEMORY_BOUNDS,
  SYMTAB_TRAP_OVERFLOW,
  SYMTAB_TRAP_TABLE_BOUNDS,
  SYMTAB_TRAP_UNALIGNED_ATOMIC,
  SYMTAB_TRAP_UNDEFINED_ELEMENT,
  SYMTAB_TRAP_UNINITIALIZED_ELEMENT,
  SYMTAB_TRAP_UNREACHABLE,
} from "../abi/symtab";
import { LOG_INFO, logEnd, logHex, logHexFixed, logStart, logText } from "../lib/log";
import { panicEnd, panicStart } from "../lib/panic";
import { isStackGuard, printStackTrace } from "../lib/stacktrace";
import { symbolFind } from "../lib/symbols";
import {
  FRAME_ERROR,
  FRAME_R10,
  FRAME_R11,
  FRAME_R12,
  FRAME_R13,
  FRAME_R14,
  FRAME_R15,
  FRAME_R8,
  FRAME_R9,
  FRAME_RAX,
  FRAME_RBP,
  FRAME_RBX,
  FRAME_RCX,
  FRAME_RDI,
  FRAME_RDX,
  FRAME_RFLAGS,
  FRAME_RIP,
  FRAME_RSI,
  FRAME_RSP,
} from "./frame";
import { peek64, read_cr2, read_cr3 } from "./intrinsics";

const VECTOR_DIVIDE_ERROR: u32 = 0;
const VECTOR_INVALID_OPCODE: u32 = 6;
const VECTOR_DOUBLE_FAULT: u32 = 8;
const VECTOR_PAGE_FAULT: u32 = 14;

/** Page-fault error code: the translation exists (SDM, "Page-Fault Exceptions"). */
const ERROR_PRESENT: u64 = 1 << 0;

const NULL_PAGE: u64 = 4096;
/** Generated code reaches at most this far with a 32-bit base, index and displacement; nothing is mapped behind 4 GiB. */
const LINEAR_WINDOW: u64 = 40 << 30;
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
const DIRECT_MAP_BYTES: u64 = 1 << 46;

/** Reports the exception and stops the machine. `frame`: virtual address of what the stub left. */
export function reportFault(vector: u32, frame: u64): void {
  const pc = peek64(frame + FRAME_RIP);
  const sp = peek64(frame + FRAME_RSP);
  panicStart();
  printKind(vector, peek64(frame + FRAME_ERROR), pc, sp);
  logEnd();
  printRegisters(vector, frame);
  printStackTrace(pc, sp);
  panicEnd();
}

function printKind(vector: u32, error: u64, pc: u64, sp: u64): void {
  const found = symbolFind(pc);
  const trap: u32 = found !== null ? found.trap : 0;
  if (vector == VECTOR_PAGE_FAULT) printPageFault(read_cr2(), error);
  else if (vector == VECTOR_DOUBLE_FAULT && isStackGuard(sp - 8)) logText("stack overflow");
  else if (vector == VECTOR_DIVIDE_ERROR && trap != SYMTAB_TRAP_OVERFLOW) logText("division by zero");
  else if (vector == VECTOR_DIVIDE_ERROR || (vector == VECTOR_INVALID_OPCODE && trap != 0))
    logText(trapName(trap));
  else logText(exceptionName(vector));
}

function printPageFault(address: u64, error: u64): void {
  if ((error & ERROR_PRESENT) != 0) logText("access that the page does not allow, address ");
  else if (address < NULL_PAGE) logText("null pointer access, address ");
  else if (isStackGuard(address)) logText("stack overflow, address ");
  else if (address < LINEAR_WINDOW) logText("out of bounds memory access, address ");
  else if (address - DIRECT_MAP < DIRECT_MAP_BYTES)
    logText("access to physical memory that is not mapped, direct-map address ");
  else logText("page fault, address ");
  logHex(address);
}

function trapName(trap: u32): string {
  switch (trap) {
    case SYMTAB_TRAP_UNREACHABLE:
      return "unreachable code reached";
    case SYMTAB_TRAP_DIVIDE_BY_ZERO:
      return "division by zero";
    case SYMTAB_TRAP_OVERFLOW:
      return "overflow in a division";
    case SYMTAB_TRAP_UNDEFINED_ELEMENT:
      return "indirect call outside of the function table";
    case SYMTAB_TRAP_UNINITIALIZED_ELEMENT:
      return "indirect call of an empty slot of the function table";
    case SYMTAB_TRAP_CALL_TYPE:
      return "indirect call of a function of another type";
    case SYMTAB_TRAP_MEMORY_BOUNDS:
      return "out of bounds memory access";
    case SYMTAB_TRAP_TABLE_BOUNDS:
      return "out of bounds table access";
    case SYMTAB_TRAP_UNALIGNED_ATOMIC:
      return "unaligned atomic access";
    case SYMTAB_TRAP_INSTRUCTION_FAILED:
      return "VMREAD or VMWRITE failed";
    default:
      return "trap of an unknown kind";
  }
}

/** By vector. */
const EXCEPTION_NAMES: StaticArray<string> = [
  "divide error (#DE)",
  "debug exception (#DB)",
  "non-maskable interrupt",
  "breakpoint (#BP)",
  "overflow (#OF)",
  "BOUND range exceeded (#BR)",
  "invalid opcode (#UD)",
  "device not available (#NM)",
  "double fault (#DF)",
  "coprocessor segment overrun",
  "invalid TSS (#TS)",
  "segment not present (#NP)",
  "stack-segment fault (#SS)",
  "general protection (#GP)",
  "page fault (#PF)",
  "exception 15",
  "x87 floating-point error (#MF)",
  "alignment check (#AC)",
  "machine check (#MC)",
  "SIMD floating-point exception (#XM)",
  "virtualization exception (#VE)",
  "control protection exception (#CP)",
];

function exceptionName(vector: u32): string {
  return vector < <u32>EXCEPTION_NAMES.length ? EXCEPTION_NAMES[vector] : "exception";
}

function printRegisters(vector: u32, frame: u64): void {
  startLine("rip", frame, FRAME_RIP);
  printRegister(" rsp", frame, FRAME_RSP);
  printRegister(" flags", frame, FRAME_RFLAGS);
  logText(" vector ");
  logHexFixed(vector, 2);
  logText(" error ");
  logHex(peek64(frame + FRAME_ERROR));
  logEnd();
  printFour("rax", FRAME_RAX, "rbx", FRAME_RBX, "rcx", FRAME_RCX, "rdx", FRAME_RDX, frame);
  printFour("rsi", FRAME_RSI, "rdi", FRAME_RDI, "rbp", FRAME_RBP, "r8 ", FRAME_R8, frame);
  printFour("r9 ", FRAME_R9, "r10", FRAME_R10, "r11", FRAME_R11, "r12", FRAME_R12, frame);
  startLine("r13", frame, FRAME_R13);
  printRegister(" r14", frame, FRAME_R14);
  printRegister(" r15", frame, FRAME_R15);
  logText(" cr2 ");
  logHexFixed(read_cr2(), 16);
  logText(" cr3 ");
  logHexFixed(read_cr3(), 16);
  logEnd();
}

function printFour(
  n0: string,
  o0: u64,
  n1: string,
  o1: u64,
  n2: string,
  o2: u64,
  n3: string,
  o3: u64,
  frame: u64,
): void {
  startLine(n0, frame, o0);
  logText(" ");
  printRegister(n1, frame, o1);
  logText(" ");
  printRegister(n2, frame, o2);
  logText(" ");
  printRegister(n3, frame, o3);
  logEnd();
}

function startLine(name: string, frame: u64, offset: u64): void {
  logStart(LOG_INFO);
  logText("  ");
  printRegister(name, frame, offset);
}

function printRegister(name: string, frame: u64, offset: u64): void {
  logText(name);
  logText(" ");
  logHexFixed(peek64(frame + offset), 16);
}
