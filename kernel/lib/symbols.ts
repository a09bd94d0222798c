// Code addresses to TypeScript: reads the symbol table that the code generator put into the image (kernel/abi/symtab.ts).
import {
  SYMTAB_CALLS_BYTES,
  SYMTAB_FIRST_PAIR,
  SYMTAB_HEADER_BYTES,
  SYMTAB_LINE,
  SYMTAB_MAGIC,
  SYMTAB_MAGIC_OFFSET,
  SYMTAB_PAIRS,
  SYMTAB_RECORDS_BYTES,
  SYMTAB_SCOPE,
  SYMTAB_SCOPES_BYTES,
  SYMTAB_STATE,
  SYMTAB_TEXT_START,
  SYMTAB_TRAP,
} from "../abi/symtab";
import { phys_load32, phys_load64, phys_load8 } from "../arch/intrinsics";

/** A function of the source and a line in it. Name and file: physical addresses of zero-terminated, compressed strings. */
@unmanaged
export class SourcePlace {
  name: u64;
  file: u64;
  line: u32;
  /** Its number in the table. */
  scope: u32;
}

/** What the table knows of one code address. */
@unmanaged
class CodeSymbol {
  /** Bytes from the stack pointer to the function's return address. */
  frameBytes: u64;
  /** Address at which the function's last prologue up to there may start. */
  start: u64;
  /** SYMTAB_TRAP_* when exactly this instruction is known to trap, else 0. */
  trap: u32;
  /** Number of the call that the code was inlined for, 0 for none: the next caller. */
  call: u32;
  /** `inner` is code inlined into `own`. */
  inlined: bool;
}

const symbol = changetype<CodeSymbol>(memory.data(32, 16));
const own = changetype<SourcePlace>(memory.data(32, 16));
const inner = changetype<SourcePlace>(memory.data(32, 16));

/** Physical addresses: the table (0: none), and where its parts end. */
let table: u64 = 0;
let recordsEnd: u64 = 0;
let scopesEnd: u64 = 0;
let callsEnd: u64 = 0;
/** The call that the record named last. */
let lastCall: u32 = 0;
/** Where `uleb` reads next. */
let cursor: u64 = 0;

/** Takes the table at physical address `at`. False: there is none. */
export function symbolsStart(at: u64): bool {
  if (phys_load32(at + SYMTAB_MAGIC_OFFSET) != SYMTAB_MAGIC) return false;
  table = at;
  recordsEnd = at + SYMTAB_HEADER_BYTES + phys_load32(at + SYMTAB_RECORDS_BYTES);
  scopesEnd = recordsEnd + phys_load32(at + SYMTAB_SCOPES_BYTES);
  callsEnd = scopesEnd + phys_load32(at + SYMTAB_CALLS_BYTES);
  return true;
}

/** Looks a code address up. False: it is not in the generated code. The results stay until the next call. */
export function symbolFind(address: u64): bool {
  if (table == 0) return false;
  cursor = table + SYMTAB_HEADER_BYTES;
  let end = phys_load64(table + SYMTAB_TEXT_START);
  while (cursor < recordsEnd) {
    const bytes = uleb();
    const next = cursor + bytes;
    const start = end + uleb();
    end = start + uleb();
    if (address >= start && address < end) {
      symbol.start = start;
      readRecord(next, address - start);
      return true;
    }
    cursor = next;
  }
  return false;
}

/** The function found. */
export function symbolFound(): CodeSymbol {
  return symbol;
}

/** The place in the function itself. */
export function symbolOwn(): SourcePlace {
  return own;
}

/** The place in the code inlined there; meaningful when `symbolFound().inlined`. */
export function symbolInner(): SourcePlace {
  return inner;
}

/** What a byte from SYMTAB_FIRST_PAIR on stands for in a string: the first byte in bits 0 to 7, the second in 8 to 15. */
export function symbolPair(code: u32): u32 {
  const at = table + SYMTAB_PAIRS + 2 * (code - SYMTAB_FIRST_PAIR);
  return phys_load8(at) | (phys_load8(at + 1) << 8);
}

/** The call that the code at hand was inlined for, in `symbolInner`; then the one around that. False: there is none. */
export function symbolNextCaller(): bool {
  if (symbol.call == 0) return false;
  cursor = scopesEnd;
  for (let skipped: u32 = 0; skipped < (symbol.call - 1) * 3; skipped++) uleb();
  readScope(<u32>uleb(), inner);
  inner.line += <u32>uleb();
  symbol.call = <u32>uleb();
  symbol.inlined = inner.scope != own.scope;
  return true;
}

/** Reads one function's record from `cursor` to `end`, up to code offset `offset`. */
function readRecord(end: u64, offset: u64): void {
  const functionStart = symbol.start;
  symbol.frameBytes = uleb() * 8;
  symbol.trap = 0;
  symbol.call = 0;
  lastCall = 0;
  symbol.inlined = false;
  const ownScope = <u32>uleb();
  readScope(ownScope, own);
  let place: u64 = 0;
  while (cursor < end) {
    const head = uleb();
    place += head >> 2;
    if (place > offset) return;
    if ((head & 3) == SYMTAB_STATE) readState(functionStart + place);
    else readEntry(<u32>(head & 3), ownScope, place == offset);
  }
}

/** From `address` on the frame is another, or the call that the code was inlined for. */
function readState(address: u64): void {
  const state = uleb();
  const rest = state >> 1;
  if ((state & 1) != 0) {
    if (rest != 0) lastCall += <u32>unzigzag(rest - 1);
    symbol.call = rest == 0 ? 0 : lastCall;
    return;
  }
  symbol.frameBytes = rest * 8;
  // Where the frame is gone, a prologue may begin.
  if (rest == 0) symbol.start = address;
}

function readEntry(kind: u32, ownScope: u32, here: bool): void {
  if (kind == SYMTAB_TRAP) {
    const trap = <u32>uleb();
    if (here) symbol.trap = trap;
  } else if (kind == SYMTAB_LINE) {
    const current = symbol.inlined ? inner : own;
    current.line += <u32>sleb();
  } else if (kind == SYMTAB_SCOPE) {
    const scope = <u32>uleb();
    const change = <u32>sleb();
    symbol.inlined = scope != ownScope;
    const current = symbol.inlined ? inner : own;
    readScope(scope, current);
    current.line += change;
  }
}

/** Name, file and declaration of scope `number`. */
function readScope(number: u32, into: SourcePlace): void {
  const back = cursor;
  cursor = recordsEnd;
  for (let skipped: u32 = 0; skipped < number * 3; skipped++) uleb();
  into.scope = number;
  into.name = callsEnd + uleb();
  into.file = callsEnd + uleb();
  into.line = <u32>uleb();
  cursor = back;
}

/** Unsigned LEB128. */
function uleb(): u64 {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (true) {
    const byte: u64 = phys_load8(cursor++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80 || shift > 56) return value;
    shift += 7;
  }
}

/** Signed: zigzag over LEB128. */
function sleb(): i64 {
  return unzigzag(uleb());
}

function unzigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -(<i64>(value & 1));
}
