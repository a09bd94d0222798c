// biome-ignore-all format: a table.
//
// Moves between memory and MMX, XMM and YMM registers, one row each (SDM, "Opcode Map" and "Instruction Set Reference"). The
// encodings without and with VEX share their opcode; VEX names the prefix (66, F3, F2) in a field of its own.
//
// A row:
//
//   27..20  19..16  15..12           11..10  9..0
//   flags   action  log2 of bytes    prefix  opcode, as in Instruction.opcode

const ACTION_SHIFT: u32 = 16;
const BYTES_SHIFT: u32 = 12;
export const VECTOR_PREFIX_SHIFT: u32 = 10;
const PREFIX_SHIFT: u32 = VECTOR_PREFIX_SHIFT;

// Mandatory prefixes, as VEX numbers them.
export const VECTOR_NO_PREFIX: u32 = 0 << PREFIX_SHIFT;
export const VECTOR_66: u32 = 1 << PREFIX_SHIFT;
export const VECTOR_F3: u32 = 2 << PREFIX_SHIFT;
export const VECTOR_F2: u32 = 3 << PREFIX_SHIFT;

// Bytes of the memory operand. FULL: 16, or with VEX.L 32. WORD: 4, or with REX.W or VEX.W 8.
const BYTES: u32 = 0 << BYTES_SHIFT;
const BYTES2: u32 = 1 << BYTES_SHIFT;
const BYTES4: u32 = 2 << BYTES_SHIFT;
const BYTES8: u32 = 3 << BYTES_SHIFT;
const BYTES16: u32 = 4 << BYTES_SHIFT;
const BYTES_MASK: u32 = 0xf << BYTES_SHIFT;
const FULL: u32 = 8 << BYTES_SHIFT;
const WORD: u32 = 9 << BYTES_SHIFT;
const FULL_OR_8: u32 = 10 << BYTES_SHIFT;

// What a load does with them. A plain one (0) clears the rest of the XMM register; a store writes the register's low bytes.
/** To, from the low or high half of XMM; the other half stays, or with VEX comes from the register `vvvv`. */
export const VECTOR_LOW: u32 = 1 << ACTION_SHIFT;
export const VECTOR_HIGH: u32 = 2 << ACTION_SHIFT;
/** Repeated over the register. */
export const VECTOR_BROADCAST: u32 = 3 << ACTION_SHIFT;
/** MOVDDUP, MOVSLDUP, MOVSHDUP: even elements of 8 bytes, even and odd ones of 4 bytes, twice each. */
export const VECTOR_EVEN8: u32 = 4 << ACTION_SHIFT;
export const VECTOR_EVEN4: u32 = 5 << ACTION_SHIFT;
export const VECTOR_ODD4: u32 = 6 << ACTION_SHIFT;
export const VECTOR_ACTION: u32 = 0xf << ACTION_SHIFT;

export const VECTOR_STORE: u32 = 1 << 20;
/** #GP unless the address is a multiple of the size. */
export const VECTOR_ALIGNED: u32 = 1 << 21;
export const VECTOR_MMX: u32 = 1 << 22;
/** There is no encoding without VEX. */
const VEX_ONLY: u32 = 1 << 23;
/** VEX.L must be 0; must be 1; is ignored. Without any of them it chooses the size. */
const L0: u32 = 1 << 24;
const L1: u32 = 1 << 25;
const LIG: u32 = 1 << 26;
/** VEX.W must be 0. */
const W0: u32 = 1 << 27;

const N: u32 = VECTOR_NO_PREFIX;
const P66: u32 = VECTOR_66;
const PF3: u32 = VECTOR_F3;
const PF2: u32 = VECTOR_F2;
const S: u32 = VECTOR_STORE;
const A: u32 = VECTOR_ALIGNED;
const MMX: u32 = VECTOR_MMX;
const BROADCAST: u32 = VECTOR_BROADCAST | VEX_ONLY | W0;

/** No row of the table. */
export const NO_VECTOR_MOVE: u32 = 0;

const moves: StaticArray<u32> = [
  0x110 | N | FULL, 0x111 | N | FULL | S, 0x110 | P66 | FULL, 0x111 | P66 | FULL | S, // MOVUPS, MOVUPD
  0x110 | PF3 | BYTES4 | LIG, 0x111 | PF3 | BYTES4 | S | LIG, // MOVSS
  0x110 | PF2 | BYTES8 | LIG, 0x111 | PF2 | BYTES8 | S | LIG, // MOVSD
  0x112 | N | BYTES8 | VECTOR_LOW | L0, 0x113 | N | BYTES8 | VECTOR_LOW | S | L0, // MOVLPS
  0x112 | P66 | BYTES8 | VECTOR_LOW | L0, 0x113 | P66 | BYTES8 | VECTOR_LOW | S | L0, // MOVLPD
  0x116 | N | BYTES8 | VECTOR_HIGH | L0, 0x117 | N | BYTES8 | VECTOR_HIGH | S | L0, // MOVHPS
  0x116 | P66 | BYTES8 | VECTOR_HIGH | L0, 0x117 | P66 | BYTES8 | VECTOR_HIGH | S | L0, // MOVHPD
  0x112 | PF2 | FULL_OR_8 | VECTOR_EVEN8, // MOVDDUP
  0x112 | PF3 | FULL | VECTOR_EVEN4, 0x116 | PF3 | FULL | VECTOR_ODD4, // MOVSLDUP, MOVSHDUP
  0x128 | N | FULL | A, 0x129 | N | FULL | A | S, 0x128 | P66 | FULL | A, 0x129 | P66 | FULL | A | S, // MOVAPS, MOVAPD
  0x12b | N | FULL | A | S, 0x12b | P66 | FULL | A | S, // MOVNTPS, MOVNTPD
  0x16e | N | WORD | MMX, 0x17e | N | WORD | MMX | S, // MOVD, MOVQ of MMX
  0x16e | P66 | WORD | L0, 0x17e | P66 | WORD | S | L0, // MOVD, MOVQ of XMM
  0x17e | PF3 | BYTES8 | L0, 0x1d6 | P66 | BYTES8 | S | L0, // MOVQ
  0x16f | N | BYTES8 | MMX, 0x17f | N | BYTES8 | MMX | S, // MOVQ of MMX
  0x16f | P66 | FULL | A, 0x17f | P66 | FULL | A | S, // MOVDQA
  0x16f | PF3 | FULL, 0x17f | PF3 | FULL | S, // MOVDQU
  0x1e7 | N | BYTES8 | MMX | S, 0x1e7 | P66 | FULL | A | S, // MOVNTQ, MOVNTDQ
  0x1f0 | PF2 | FULL, 0x22a | P66 | FULL | A, // LDDQU, MOVNTDQA
  0x218 | P66 | BYTES4 | BROADCAST, 0x219 | P66 | BYTES8 | BROADCAST | L1, // VBROADCASTSS, VBROADCASTSD
  0x21a | P66 | BYTES16 | BROADCAST | L1, 0x25a | P66 | BYTES16 | BROADCAST | L1, // VBROADCASTF128, VBROADCASTI128
  0x278 | P66 | BYTES | BROADCAST, 0x279 | P66 | BYTES2 | BROADCAST, // VPBROADCASTB, VPBROADCASTW
  0x258 | P66 | BYTES4 | BROADCAST, 0x259 | P66 | BYTES8 | BROADCAST, // VPBROADCASTD, VPBROADCASTQ
];

/** The row of an opcode with a prefix VECTOR_*, with VEX or without; NO_VECTOR_MOVE. */
export function vectorMove(opcode: u32, prefix: u32, vex: bool): u32 {
  assert(opcode <= 0x3ff && prefix <= VECTOR_F2, "vectors: opcode");
  for (let n = 0; n < moves.length; n++) {
    const row = unchecked(moves[n]);
    if ((row & 0xfff) != (opcode | prefix)) continue;
    return (row & (vex ? VECTOR_MMX : VEX_ONLY)) != 0 ? NO_VECTOR_MOVE : row;
  }
  return NO_VECTOR_MOVE;
}

/** Whether VEX.L and VEX.W may be as they are; else #UD. */
export function isVexAllowed(row: u32, long: bool, wide: bool): bool {
  assert(row != NO_VECTOR_MOVE, "vectors: no move");
  if ((row & L0) != 0 && long) return false;
  if ((row & L1) != 0 && !long) return false;
  return (row & W0) == 0 || !wide;
}

/** Bytes of the memory operand. */
export function vectorBytes(row: u32, long: bool, wide: bool): u32 {
  assert(row != NO_VECTOR_MOVE, "vectors: no move");
  switch (row & BYTES_MASK) {
    case FULL: return long ? 32 : 16;
    case WORD: return wide ? 8 : 4;
    case FULL_OR_8: return long ? 32 : 8;
    default: return 1 << ((row & BYTES_MASK) >> BYTES_SHIFT);
  }
}
