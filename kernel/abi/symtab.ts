// The symbol table of the generated code: what turns a code address into TypeScript names and lines. tools/aot/symtab
// writes it into section .symtab.typescript of the image. Valid for asc and for tsc.
//
// Header, then four areas of bytes; all numbers little endian.
//
//    0                   8         12        16        20        24        28           284
//   ┌───────────────────┬─────────┬─────────┬─────────┬─────────┬─────────┬──────────────┬─── … ───┬─── … ──┬── … ──┬─── … ───┐
//   │ text start (u64)  │  magic  │ records │ scopes  │  calls  │ strings │ pairs: two   │ records │ scopes │ calls │ strings │
//   │ virtual address   │  (u32)  │  bytes  │  bytes  │  bytes  │  bytes  │ bytes each   │         │        │       │         │
//   └───────────────────┴─────────┴─────────┴─────────┴─────────┴─────────┴──────────────┴─── … ───┴─── … ──┴── … ──┴─── … ───┘
//
//   records: one per piece of code, in order of address
//   scopes:  functions of the source, numbered from 0
//   calls:   those that code was inlined for, numbered from 1
//   strings: names, each ended by a zero byte; a byte below 80h is an ASCII character, another one stands for the two bytes
//            at pairs[byte - 80h], which are to be read in the same way
//
// "uleb" is an unsigned LEB128 number, "sleb" the same with zigzag: (n << 1) ^ (n >> 63).
// Strings are named by their offset in the strings area.
//
//   scope:   uleb  name; uleb file; uleb line of its declaration
//   call:    uleb  scope that holds the call; uleb line of the call, from that of the declaration;
//            uleb  the call that this one was inlined for itself, 0 for none
//
//   record:  uleb  bytes of the record after this number: a reader skips a function by adding it
//            uleb  gap in bytes between the previous function's end (or text start) and this function
//            uleb  size of the code in bytes
//            uleb  frame: (bytes from the stack pointer to the return address) / 8, behind the prologue if it starts with one
//            uleb  scope of the function itself, in which the record starts, on the line of its declaration
//            entries until the end of the record, in order of code offset; each starts with
//              uleb  (advance << 2) | kind, where `advance` adds to the code offset (from 0 at the function's start)
//            kind  SYMTAB_LINE    sleb  added to the line: another line of the current scope starts here
//                  SYMTAB_SCOPE   uleb  scope that starts here; sleb: its line, from that of its declaration
//                  SYMTAB_TRAP    uleb  kind: the instruction at this offset raises this trap (SYMTAB_TRAP_*)
//                  SYMTAB_STATE   uleb  lowest bit 0: the rest is the frame from here on; frame 0 is also written in front of a
//                                       prologue inside of the function. Lowest bit 1: the rest is 0, the code from here on was
//                                       not inlined for a call, as at the start; or it was for call number: (last one of this
//                                       record, or 0) + zigzag(rest - 1)
//
// Lines are given where an instruction calls or may raise an exception, not for arithmetic. To walk the stack from a
// program counter in a function's body: the return address is at stack pointer + frame, the caller's stack pointer is 8
// above it. Look up return addresses minus one, which lies in the call. A scope other than the function's own is inlined
// code: it shows as its own frame, followed by those of the calls that it was inlined for. Code that asc has inlined has no
// such calls: the function's frame then shows the last line before it in the function's own scope.

/** Bytes "TVS2". */
export const SYMTAB_MAGIC: u32 = 0x32535654;
export const SYMTAB_TEXT_START: u32 = 0;
export const SYMTAB_MAGIC_OFFSET: u32 = 8;
export const SYMTAB_RECORDS_BYTES: u32 = 12;
export const SYMTAB_SCOPES_BYTES: u32 = 16;
export const SYMTAB_CALLS_BYTES: u32 = 20;
export const SYMTAB_STRINGS_BYTES: u32 = 24;
export const SYMTAB_PAIRS: u32 = 28;
export const SYMTAB_HEADER_BYTES: u32 = 284;
/** Bytes of strings from here on stand for pairs. */
export const SYMTAB_FIRST_PAIR: u32 = 0x80;

export const SYMTAB_LINE: u32 = 0;
export const SYMTAB_SCOPE: u32 = 1;
export const SYMTAB_TRAP: u32 = 2;
export const SYMTAB_STATE: u32 = 3;

export const SYMTAB_TRAP_UNREACHABLE: u32 = 1;
export const SYMTAB_TRAP_DIVIDE_BY_ZERO: u32 = 2;
export const SYMTAB_TRAP_OVERFLOW: u32 = 3;
export const SYMTAB_TRAP_UNDEFINED_ELEMENT: u32 = 4;
export const SYMTAB_TRAP_UNINITIALIZED_ELEMENT: u32 = 5;
export const SYMTAB_TRAP_CALL_TYPE: u32 = 6;
export const SYMTAB_TRAP_MEMORY_BOUNDS: u32 = 7;
export const SYMTAB_TRAP_TABLE_BOUNDS: u32 = 8;
export const SYMTAB_TRAP_UNALIGNED_ATOMIC: u32 = 9;
/** VMREAD or VMWRITE of a field that had to exist failed. */
export const SYMTAB_TRAP_INSTRUCTION_FAILED: u32 = 10;
