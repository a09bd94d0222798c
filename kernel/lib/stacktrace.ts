// Walks the native stack without frame pointers: every function's frame has one size, which the symbol table knows.
import { peek64, phys_load8 } from "../arch/intrinsics";
import { LAYOUT_STACK_START } from "../abi/layout";
import { SYMTAB_FIRST_PAIR } from "../abi/symtab";
import { bootLayout } from "./layout";
import { LOG_INFO, logByte, logDecimal, logEnd, logHex, logStart, logText } from "./log";
import { CodeSymbol, SourcePlace, symbolFind, symbolNextCaller, symbolPair } from "./symbols";

const MAX_FRAMES: u32 = 40;
/** Bytes of one CPU's slot in the stack window (boot/constants.inc), and the parts of it that are stacks. */
const SLOT_BYTES: u64 = 0x40000;
const PAGE_BYTES: u64 = 4096;

/**
 * Prints one line per function, innermost first, from code address `pc` with stack pointer `sp`, both from inside a
 * function's body or from its prologue.
 */
export function printStackTrace(pc: u64, sp: u64): void {
  let address = pc;
  for (let depth: u32 = 0; depth < MAX_FRAMES; depth++) {
    const found = symbolFind(address);
    if (found === null) {
      printForeign(address);
      return;
    }
    printSymbol(found);
    const pushed = depth == 0 ? prologueDepth(found.start, pc) : NOT_IN_PROLOGUE;
    const returnSlot = sp + (pushed == NOT_IN_PROLOGUE ? found.frameBytes : pushed);
    if (!onStack(returnSlot)) {
      printNote("(the stack ends here)");
      return;
    }
    // Minus one: inside the call, whose line counts, also when it is the function's last instruction.
    address = peek64(returnSlot) - 1;
    sp = returnSlot + 8;
  }
  printNote("(more frames)");
}

/** The function that holds the code, after those that were inlined into it. */
function printSymbol(found: CodeSymbol): void {
  if (found.inlined) {
    printPlace(found.inner, true);
    while (symbolNextCaller(found)) printPlace(found.inner, found.inlined);
    // The outermost call is in the function itself, unless asc has inlined what holds it.
    if (!found.inlined) return;
  }
  printPlace(found.own, false);
}

function printPlace(place: SourcePlace, inlined: bool): void {
  logStart(LOG_INFO);
  logText("  at ");
  printString(place.name);
  logText(" (");
  printString(place.file);
  logText(":");
  logDecimal(place.line);
  logText(inlined ? ", inlined)" : ")");
  logEnd();
}

/** Strings of the table are source names: ASCII, and short. */
function printString(at: u64): void {
  for (let i: u32 = 0; i < 255; i++) {
    const byte = phys_load8(at + i);
    if (byte == 0) return;
    printByte(byte);
  }
}

function printByte(byte: u32): void {
  if (byte < SYMTAB_FIRST_PAIR) {
    logByte(byte);
    return;
  }
  const pair = symbolPair(byte);
  printByte(pair & 0xff);
  printByte(pair >> 8);
}

function printForeign(address: u64): void {
  logStart(LOG_INFO);
  logText("  at assembly or nowhere, ");
  logHex(address);
  logEnd();
}

function printNote(text: string): void {
  logStart(LOG_INFO);
  logText("  ");
  logText(text);
  logEnd();
}

/** Whether 8 bytes at `address` can be read: in the stack window, and not in a page that boot/stacks.asm leaves out. */
function onStack(address: u64): bool {
  const slot = bootLayout(LAYOUT_STACK_START) - PAGE_BYTES;
  if ((address & 7) != 0 || address < slot || address >= slot + SLOT_BYTES) return false;
  return isStackPage(<u32>((address - slot) / PAGE_BYTES));
}

/** Pages of a slot that are mapped: main, #DF, #PF, #MC, NMI (drawing in boot/stacks.asm). */
function isStackPage(page: u32): bool {
  return (
    (page >= 0x01 && page < 0x11) ||
    (page >= 0x12 && page < 0x16) ||
    (page >= 0x17 && page < 0x1b) ||
    (page >= 0x1c && page < 0x20) ||
    page == 0x21
  );
}

/** Whether an address is in one of the unmapped pages below the stacks: a push there is an overflow. */
export function isStackGuard(address: u64): bool {
  const slot = bootLayout(LAYOUT_STACK_START) - PAGE_BYTES;
  return address >= slot && address < slot + SLOT_BYTES && !isStackPage(<u32>((address - slot) / PAGE_BYTES));
}

const NOT_IN_PROLOGUE: u64 = U64.MAX_VALUE;

/**
 * Bytes that the function at `start` has pushed when it is about to execute `pc` of its prologue; NOT_IN_PROLOGUE when
 * `pc` is in the body. A stack overflow strikes in the prologue, which is: pushes, touches of the pages that a large frame
 * spans, one subtraction from the stack pointer.
 */
function prologueDepth(start: u64, pc: u64): u64 {
  let depth: u64 = 0;
  let at = start;
  for (let bytes = pushBytes(at); bytes != 0 && at < pc; bytes = pushBytes(at)) {
    at += bytes;
    depth += 8;
  }
  for (let bytes = touchBytes(at); bytes != 0 && at < pc; bytes = touchBytes(at)) at += bytes;
  if (at != pc) return NOT_IN_PROLOGUE;
  return pushBytes(pc) != 0 || touchBytes(pc) != 0 || isSubtraction(pc) ? depth : NOT_IN_PROLOGUE;
}

/** Length of the PUSH r64 at `pc`, 0 if it is none. */
function pushBytes(pc: u64): u64 {
  const code = <u32>peek64(pc);
  if ((code & 0xf8) == 0x50) return 1;
  return (code & 0xf8ff) == 0x5041 ? 2 : 0;
}

/** Length of the TEST byte [rsp - disp32], 0 at `pc`, 0 if it is none. */
function touchBytes(pc: u64): u64 {
  return (<u32>peek64(pc) & 0xffffff) == 0x2484f6 ? 8 : 0;
}

/** SUB RSP, imm8 or imm32. */
function isSubtraction(pc: u64): bool {
  const code = <u32>peek64(pc) & 0xffffff;
  return code == 0xec8348 || code == 0xec8148;
}
