// Memory-type range registers: storage with the processor's checks, set up as firmware leaves them. They do not change how
// memory is cached (the nested tables say write-back for RAM); guests read them to learn what firmware decided.
// Source: SDM, "Memory Type Range Registers (MTRRs)".
import { physicalAddressBits } from "../arch/cpuid";
import { IA32_MTRR_DEF_TYPE, IA32_MTRR_PHYSBASE0 } from "../arch/msr";
import { tailOf } from "../lib/tail";
import { PCI_HOLE } from "./memory-map";

/** Variable ranges: pairs of base and mask. */
const VARIABLE: u32 = 8;
const FIXED: u32 = 11;

/** IA32_MTRRCAP: 8 variable ranges, fixed ranges, write-combining. */
export const MTRRCAP: u64 = 0x508;

const FIX64K_00000: u32 = 0x250;
const FIX16K_80000: u32 = 0x258;
const FIX4K_C0000: u32 = 0x268;
const NOT_FIXED: u32 = U32.MAX_VALUE;

const TYPE_UC: u64 = 0;
const TYPE_WB: u64 = 6;
const DEF_TYPE_FIXED_ENABLE: u64 = 1 << 10;
const DEF_TYPE_ENABLE: u64 = 1 << 11;
const MASK_VALID: u64 = 1 << 11;
/** Eight write-back and eight write-protected ranges. */
const ALL_WB: u64 = 0x0606060606060606;
const ALL_WP: u64 = 0x0505050505050505;

/** The registers of one CPU. Ends in FIXED words, one for each fixed range, and a base and a mask for each variable one. */
@unmanaged
export class Mtrr {
  defType: u64;
}

export const MTRR_BYTES: usize = offsetof<Mtrr>() + <usize>(FIXED + 2 * VARIABLE) * 8;

function fixedAt(m: Mtrr, index: u32): usize {
  return tailOf(m) + <usize>index * 8;
}

function variableAt(m: Mtrr, index: u32): usize {
  return tailOf(m) + <usize>(FIXED + index) * 8;
}

/** As firmware leaves them: write-back, the VGA window uncached, the BIOS area write-protected, the PCI hole uncached. */
export function mtrrReset(m: Mtrr): void {
  memory.fill(changetype<usize>(m), 0, MTRR_BYTES);
  m.defType = TYPE_WB | DEF_TYPE_FIXED_ENABLE | DEF_TYPE_ENABLE;
  store<u64>(fixedAt(m, 0), ALL_WB); // 00000-7FFFF
  store<u64>(fixedAt(m, 1), ALL_WB); // 80000-9FFFF; the next is A0000-BFFFF
  for (let i: u32 = 3; i < FIXED; i++) store<u64>(fixedAt(m, i), ALL_WP);
  store<u64>(variableAt(m, 0), PCI_HOLE | TYPE_UC);
  store<u64>(variableAt(m, 1), (((<u64>1) << physicalAddressBits()) - (1 << 30)) | MASK_VALID);
}

/** Index of a fixed-range register: one of 64 KiB, two of 16 KiB, eight of 4 KiB ranges. */
function fixedIndex(msr: u32): u32 {
  if (msr == FIX64K_00000) return 0;
  if (msr - FIX16K_80000 < 2) return 1 + (msr - FIX16K_80000);
  return msr - FIX4K_C0000 < 8 ? 3 + (msr - FIX4K_C0000) : NOT_FIXED;
}

/** False: no such register, or reserved bits or types. */
export function mtrrWrite(m: Mtrr, msr: u32, value: u64): bool {
  const at = mtrrAt(m, msr);
  if (at == 0 || !isAllowed(msr, value)) return false;
  store<u64>(at, value);
  return true;
}

/** Linear address of a register's value; 0: no such register. */
export function mtrrAt(m: Mtrr, msr: u32): usize {
  if (msr == IA32_MTRR_DEF_TYPE) return changetype<usize>(m);
  if (msr - IA32_MTRR_PHYSBASE0 < 2 * VARIABLE) return variableAt(m, msr - IA32_MTRR_PHYSBASE0);
  const fixed = fixedIndex(msr);
  return fixed == NOT_FIXED ? 0 : fixedAt(m, fixed);
}

function isAllowed(msr: u32, value: u64): bool {
  if (msr == IA32_MTRR_DEF_TYPE) {
    return isType(value & 0xff) && (value & ~(0xff | DEF_TYPE_FIXED_ENABLE | DEF_TYPE_ENABLE)) == 0;
  }
  if (msr - IA32_MTRR_PHYSBASE0 < 2 * VARIABLE) return isVariableAllowed((msr & 1) != 0, value);
  for (let shift: u64 = 0; shift < 64; shift += 8) {
    if (!isType((value >> shift) & 0xff)) return false;
  }
  return true;
}

/** Base: type in 7..0, address from 12 on. Mask: valid in 11, mask from 12 on. */
function isVariableAllowed(mask: bool, value: u64): bool {
  if (value >> physicalAddressBits() != 0) return false;
  return mask ? (value & 0x7ff) == 0 : (value & 0xf00) == 0 && isType(value & 0xff);
}

/** UC, WC, WT, WP, WB. */
function isType(type: u64): bool {
  return type <= 6 && type != 2 && type != 3;
}
