// Tests of single register values that the checks of host and guest state share.
import { EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from "../arch/msr";

/** A 48-bit linear address, sign-extended. */
export function isCanonical(address: u64): bool {
  return <u64>(((<i64>address) << 16) >> 16) == address;
}

/** IA32_PAT: each of its eight bytes is UC (0), WC (1), WT (4), WP (5), WB (6) or UC- (7). */
export function validPat(pat: u64): bool {
  for (let i: u64 = 0; i < 8; i++) {
    const type = (pat >> (8 * i)) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

/** IA32_EFER: the reserved bits are 0. */
export function validEfer(efer: u64): bool {
  return (efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) == 0;
}
