// The code behind the interrupt vectors of a PC's BIOS: a few bytes each, in the ROM, that hand the call over by a write to the
// port for calls of firmware (`PORT_SMI_COMMAND`, which computers have for that). What a call does is in services.ts.
import { GuestMemory, guestFill, guestStore32, guestStore64 } from "../../mm/guestmem";

const VECTORS: u64 = 0;
const VECTOR_COUNT: u32 = 256;
export const NO_STUB: u32 = VECTOR_COUNT;
/** An IRET: F000:FF53, where the PC's BIOS has its dummy handler. */
const DUMMY_HANDLER: u64 = 0xfff53;
const DUMMY_VECTOR: u32 = 0xf000ff53;
const IRET: u32 = 0xcf;

/** Stubs begin at F000:E000, 16 bytes each. */
const STUBS: u64 = 0xfe000;
const STUB_BYTES: u64 = 16;
const STUBS_SEGMENT: u32 = 0xf000;
/** Vectors that have one: the PC's interrupts and services (1Bh to 1Fh are the user's), and those of the second controller. */
const SERVICES_END: u32 = 0x1b;
const SECOND_PIC: u32 = 0x70;
const SECOND_PIC_END: u32 = 0x78;

export const INT_TIMER: u32 = 0x08;
export const INT_KEYBOARD: u32 = 0x16;
export const INT_NO_BOOT: u32 = 0x18;

/** E6 B2  out 0B2h, al;  CF  iret */
const CALL: u64 = 0xcf_b2e6;
/** The timer's tick is passed on:  E6 B2  out 0B2h, al;  CD 1C  int 1Ch;  CF  iret */
const CALL_TIMER: u64 = 0xcf_1ccd_b2e6;
/** A key is waited for:  FB  sti;  E6 B2  out 0B2h, al;  73 03  jnc to the IRET;  F4  hlt;  EB F8  jmp to the STI;  CF  iret */
const CALL_KEYBOARD: u64 = 0xf8eb_f403_73b2_e6fb;
const CALL_KEYBOARD_END: u64 = 0xcf;
/** There is nothing left to do:  E6 B2  out 0B2h, al;  FA  cli;  F4  hlt;  EB FC  jmp to the CLI */
const CALL_NO_BOOT: u64 = 0xfceb_f4fa_b2e6;

/** Writes the vectors and the code. */
export function writeBiosStubs(m: GuestMemory): void {
  guestFill(m, DUMMY_HANDLER, IRET, 1);
  for (let vector: u32 = 0; vector < VECTOR_COUNT; vector++) {
    const at = VECTORS + <u64>vector * 4;
    if (!hasStub(vector)) {
      guestStore32(m, at, DUMMY_VECTOR);
      continue;
    }
    const stub = STUBS + <u64>vector * STUB_BYTES;
    guestStore32(m, at, (STUBS_SEGMENT << 16) | (<u32>stub & 0xffff));
    guestStore64(m, stub, stubCode(vector));
    guestStore64(m, stub + 8, vector == INT_KEYBOARD ? CALL_KEYBOARD_END : 0);
  }
}

/** Vectors 0 to 7 are exceptions. */
function hasStub(vector: u32): bool {
  return (vector >= INT_TIMER && vector < SERVICES_END) || (vector >= SECOND_PIC && vector < SECOND_PIC_END);
}

function stubCode(vector: u32): u64 {
  switch (vector) {
    case INT_TIMER:
      return CALL_TIMER;
    case INT_KEYBOARD:
      return CALL_KEYBOARD;
    case INT_NO_BOOT:
      return CALL_NO_BOOT;
    default:
      return CALL;
  }
}

/** The vector whose stub holds the linear address `at`, or NO_STUB. */
export function stubVector(at: u64): u32 {
  if (at < STUBS || at >= STUBS + <u64>VECTOR_COUNT * STUB_BYTES) return NO_STUB;
  const vector = <u32>((at - STUBS) / STUB_BYTES);
  return hasStub(vector) ? vector : NO_STUB;
}
