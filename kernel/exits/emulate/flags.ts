// The arithmetic flags of results, as the manuals define them (SDM, "EFLAGS Cross-Reference"). Where they are undefined,
// what processors do.
import {
  RFLAGS_AF,
  RFLAGS_ARITHMETIC,
  RFLAGS_CF,
  RFLAGS_OF,
  RFLAGS_PF,
  RFLAGS_SF,
  RFLAGS_ZF,
} from "../../arch/cr";
import { Emulator } from "./emulator";
import { sizeMask } from "./linear";
import { isAccessSize } from "../../lib/sizes";

/** The sign bit of a value of `size` bytes. */
export function signBit(size: u32): u64 {
  assert(isAccessSize(size), "flags: operand size");
  return (<u64>1) << (8 * size - 1);
}

/** SF, ZF and PF of a result. */
export function resultFlags(result: u64, size: u32): u64 {
  let flags: u64 = 0;
  if ((result & signBit(size)) != 0) flags |= RFLAGS_SF;
  if ((result & sizeMask(size)) == 0) flags |= RFLAGS_ZF;
  if ((popcnt(result & 0xff) & 1) == 0) flags |= RFLAGS_PF;
  return flags;
}

/** Replaces the six arithmetic flags. */
export function setFlags(e: Emulator, flags: u64): void {
  assert((flags & ~RFLAGS_ARITHMETIC) == 0, "flags: not an arithmetic flag");
  e.flags = (e.flags & ~RFLAGS_ARITHMETIC) | flags;
}

/** Sets or clears one flag. */
export function setFlag(e: Emulator, flag: u64, on: bool): void {
  assert((flag & RFLAGS_ARITHMETIC) == flag && flag != 0, "flags: not an arithmetic flag");
  e.flags = on ? e.flags | flag : e.flags & ~flag;
}

export function carry(e: Emulator): u64 {
  return e.flags & RFLAGS_CF;
}

/** Whether condition `code` (low four bits of Jcc, SETcc, CMOVcc) holds. */
export function condition(flags: u64, code: u32): bool {
  const zero = (flags & RFLAGS_ZF) != 0;
  const less = ((flags & RFLAGS_SF) != 0) != ((flags & RFLAGS_OF) != 0);
  let holds = false;
  switch ((code >> 1) & 7) {
    case 0:
      holds = (flags & RFLAGS_OF) != 0;
      break;
    case 1:
      holds = (flags & RFLAGS_CF) != 0;
      break;
    case 2:
      holds = zero;
      break;
    case 3:
      holds = zero || (flags & RFLAGS_CF) != 0;
      break;
    case 4:
      holds = (flags & RFLAGS_SF) != 0;
      break;
    case 5:
      holds = (flags & RFLAGS_PF) != 0;
      break;
    case 6:
      holds = less;
      break;
    default:
      holds = zero || less;
      break;
  }
  return holds != ((code & 1) != 0);
}

/** AF: carry out of bit 3. */
export function adjustFlag(a: u64, b: u64, result: u64): u64 {
  return (a ^ b ^ result) & RFLAGS_AF;
}
