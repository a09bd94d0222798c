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
import { tailItem } from "./tail";

/** A function of the source and a line in it. Name and file: physical addresses of zero-terminated, compressed strings. */
@unmanaged
export class SourcePlace {
  name: u64;
  file: u64;
  line: u32;
  /** Its number in the table. */
  scope: u32;
}

/** What the table knows of one code address, and how far it is read. Ends in two SourcePlaces, `own` and `inner`. */
@unmanaged
export class CodeSymbol {
  /** Bytes from the stack pointer to the function's return address. */
  frameBytes: u64;
  /** Address at which the function's last prologue up to there may start. */
  start: u64;
  /** SYMTAB_TRAP_* when exactly this instruction is known to trap, else 0. */
  trap: u32;
  /** Number of the call that the code was inlined for, 0 for none: the next caller. */
  call: u32;
  /** The call that the function's record named last. */
  lastCall: u32;
  /** `inner` is code inlined into `own`. */
  inlined: bool;
  /** Physical address of what is read next. */
  cursor: u64;

  /** The place in the function itself. */
  get own(): SourcePlace {
    return tailItem<CodeSymbol, SourcePlace>(this, 0);
  }

  /** The place in the code inlined there; meaningful when `inlined`. */
  get inner(): SourcePlace {
    return tailItem<CodeSymbol, SourcePlace>(this, 1);
  }
}

/** The one address that the report of a panic is at: a machine has one such report. */
const reported = changetype<CodeSymbol>(
  memory.data(offsetof<CodeSymbol>() + 2 * offsetof<SourcePlace>(), 16),
);

/** Physical addresses: the table (0: none), and where its parts end. Written once, at boot. */
let table: u64 = 0;
let recordsEnd: u64 = 0;
let scopesEnd: u64 = 0;
let callsEnd: u64 = 0;

/** Takes the table at physical address `at`. False: there is none. */
export function symbolsStart(at: u64): bool {
  if (phys_load32(at + SYMTAB_MAGIC_OFFSET) != SYMTAB_MAGIC) return false;
  table = at;
  recordsEnd = at + SYMTAB_HEADER_BYTES + phys_load32(at + SYMTAB_RECORDS_BYTES);
  scopesEnd = recordsEnd + phys_load32(at + SYMTAB_SCOPES_BYTES);
  callsEnd = scopesEnd + phys_load32(at + SYMTAB_CALLS_BYTES);
  return true;
}

/** Looks a code address up, for the report of a panic. Null: it is not in the generated code. Valid until the next call. */
export function symbolFind(address: u64): CodeSymbol | null {
  if (table == 0) return null;
  const s = reported;
  s.cursor = table + SYMTAB_HEADER_BYTES;
  let end = phys_load64(table + SYMTAB_TEXT_START);
  while (s.cursor < recordsEnd) {
    const bytes = uleb(s);
    const next = s.cursor + bytes;
    const start = end + uleb(s);
    end = start + uleb(s);
    if (address >= start && address < end) {
      s.start = start;
      readRecord(s, next, address - start);
      return s;
    }
    s.cursor = next;
  }
  return null;
}

/** What a byte from SYMTAB_FIRST_PAIR on stands for in a string: the first byte in bits 0 to 7, the second in 8 to 15. */
export function symbolPair(code: u32): u32 {
  const at = table + SYMTAB_PAIRS + 2 * (code - SYMTAB_FIRST_PAIR);
  return phys_load8(at) | (phys_load8(at + 1) << 8);
}

/** The call that the code at hand was inlined for, in `inner`; then the one around that. False: there is none. */
export function symbolNextCaller(s: CodeSymbol): bool {
  if (s.call == 0) return false;
  s.cursor = scopesEnd;
  for (let skipped: u32 = 0; skipped < (s.call - 1) * 3; skipped++) uleb(s);
  readScope(s, <u32>uleb(s), s.inner);
  s.inner.line += <u32>uleb(s);
  s.call = <u32>uleb(s);
  s.inlined = s.inner.scope != s.own.scope;
  return true;
}

/** Reads one function's record from `cursor` to `end`, up to code offset `offset`. */
function readRecord(s: CodeSymbol, end: u64, offset: u64): void {
  const functionStart = s.start;
  s.frameBytes = uleb(s) * 8;
  s.trap = 0;
  s.call = 0;
  s.lastCall = 0;
  s.inlined = false;
  const ownScope = <u32>uleb(s);
  readScope(s, ownScope, s.own);
  let place: u64 = 0;
  while (s.cursor < end) {
    const head = uleb(s);
    place += head >> 2;
    if (place > offset) return;
    if ((head & 3) == SYMTAB_STATE) readState(s, functionStart + place);
    else readEntry(s, <u32>(head & 3), ownScope, place == offset);
  }
}

/** From `address` on the frame is another, or the call that the code was inlined for. */
function readState(s: CodeSymbol, address: u64): void {
  const state = uleb(s);
  const rest = state >> 1;
  if ((state & 1) != 0) {
    if (rest != 0) s.lastCall += <u32>unzigzag(rest - 1);
    s.call = rest == 0 ? 0 : s.lastCall;
    return;
  }
  s.frameBytes = rest * 8;
  // Where the frame is gone, a prologue may begin.
  if (rest == 0) s.start = address;
}

function readEntry(s: CodeSymbol, kind: u32, ownScope: u32, here: bool): void {
  if (kind == SYMTAB_TRAP) {
    const trap = <u32>uleb(s);
    if (here) s.trap = trap;
  } else if (kind == SYMTAB_LINE) {
    const current = s.inlined ? s.inner : s.own;
    current.line += <u32>sleb(s);
  } else if (kind == SYMTAB_SCOPE) {
    const scope = <u32>uleb(s);
    const change = <u32>sleb(s);
    s.inlined = scope != ownScope;
    const current = s.inlined ? s.inner : s.own;
    readScope(s, scope, current);
    current.line += change;
  }
}

/** Name, file and declaration of scope `number`. */
function readScope(s: CodeSymbol, number: u32, into: SourcePlace): void {
  const back = s.cursor;
  s.cursor = recordsEnd;
  for (let skipped: u32 = 0; skipped < number * 3; skipped++) uleb(s);
  into.scope = number;
  into.name = callsEnd + uleb(s);
  into.file = callsEnd + uleb(s);
  into.line = <u32>uleb(s);
  s.cursor = back;
}

/** Unsigned LEB128. */
function uleb(s: CodeSymbol): u64 {
  let value: u64 = 0;
  let shift: u64 = 0;
  while (true) {
    const byte: u64 = phys_load8(s.cursor++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80 || shift > 56) return value;
    shift += 7;
  }
}

/** Signed: zigzag over LEB128. */
function sleb(s: CodeSymbol): i64 {
  return unzigzag(uleb(s));
}

function unzigzag(value: u64): i64 {
  return <i64>(value >> 1) ^ -(<i64>(value & 1));
}
