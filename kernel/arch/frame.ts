// What the exception stubs leave on the stack (boot/frame.inc), as byte offsets from the frame's virtual address.

export const FRAME_R15: u64 = 0x00;
export const FRAME_R14: u64 = 0x08;
export const FRAME_R13: u64 = 0x10;
export const FRAME_R12: u64 = 0x18;
export const FRAME_R11: u64 = 0x20;
export const FRAME_R10: u64 = 0x28;
export const FRAME_R9: u64 = 0x30;
export const FRAME_R8: u64 = 0x38;
export const FRAME_RDI: u64 = 0x40;
export const FRAME_RSI: u64 = 0x48;
export const FRAME_RBP: u64 = 0x50;
export const FRAME_RBX: u64 = 0x58;
export const FRAME_RDX: u64 = 0x60;
export const FRAME_RCX: u64 = 0x68;
export const FRAME_RAX: u64 = 0x70;
export const FRAME_VECTOR: u64 = 0x78;
export const FRAME_ERROR: u64 = 0x80;
export const FRAME_RIP: u64 = 0x88;
export const FRAME_CS: u64 = 0x90;
export const FRAME_RFLAGS: u64 = 0x98;
export const FRAME_RSP: u64 = 0xa0;
export const FRAME_SS: u64 = 0xa8;
