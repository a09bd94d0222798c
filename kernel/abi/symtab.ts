// The symbol table of the generated code: what turns a code address into TypeScript names and lines. tools/aot/symtab
// writes it into section .symtab.typescript of the image. Valid for asc and for tsc.
//
// Header, then three areas of bytes; all numbers little endian.
//
//    0                   8         12        16        20        24
//   ┌───────────────────┬─────────┬─────────┬─────────┬─────────┬──────── … ────────┬──────── … ────────┬──────── … ────────┐
//   │ text start (u64)  │  magic  │ records │ scopes  │ strings │ records: one per  │ scopes: functions │ strings: UTF-8,   │
//   │ virtual address   │  (u32)  │  bytes  │  bytes  │  bytes  │ piece of code, in │ of the source, by │ each ended by a   │
//   │                   │         │         │         │         │ order of address  │ number, from 0    │ zero byte         │
//   └───────────────────┴─────────┴─────────┴─────────┴─────────┴──────── … ────────┴──────── … ────────┴──────── … ────────┘
//
// "uleb" is an unsigned LEB128 number, "sleb" the same with zigzag: (n << 1) ^ (n >> 63).
// Strings are named by their offset in the strings area.
//
//   scope:   uleb  name; uleb file; uleb line of its declaration
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
//                  SYMTAB_FRAME   uleb  frame from here on; 0 is also written in front of a prologue inside of the function
//
// Lines are given where an instruction calls or may raise an exception, not for arithmetic. To walk the stack from a
// program counter in a function's body: the return address is at stack pointer + frame, the caller's stack pointer is 8
// above it. Look up return addresses minus one, which lies in the call. A scope other than the function's own is inlined
// code: it shows as its own frame above the function's, whose line is the last one before it in the function's scope.

/** Bytes "TVS1". */
export const SYMTAB_MAGIC: u32 = 0x31535654;
export const SYMTAB_TEXT_START: u32 = 0;
export const SYMTAB_MAGIC_OFFSET: u32 = 8;
export const SYMTAB_RECORDS_BYTES: u32 = 12;
export const SYMTAB_SCOPES_BYTES: u32 = 16;
export const SYMTAB_STRINGS_BYTES: u32 = 20;
export const SYMTAB_HEADER_BYTES: u32 = 24;

export const SYMTAB_LINE: u32 = 0;
export const SYMTAB_SCOPE: u32 = 1;
export const SYMTAB_TRAP: u32 = 2;
export const SYMTAB_FRAME: u32 = 3;

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
