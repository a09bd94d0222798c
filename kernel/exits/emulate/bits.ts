// BT, BTS, BTR and BTC: with a register as bit offset, a memory operand is a string of bits of any length around its address.
import { RFLAGS_CF } from "../../arch/cr";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { signExtend } from "./alu";
import { Emulator } from "./emulator";
import { setFlag } from "./flags";
import { FORM_RM_R, OP_BT, OP_BTC, OP_BTS } from "./instruction";
import { locate, sizeMask } from "./linear";
import { effectiveAddress, loadRm, readRegister, storeRm } from "./operand";
import { isAccessSize } from "../../lib/sizes";

export function executeBitTest(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation >= OP_BT && i.operation <= OP_BTC, "bits: another instruction");
  const size = i.operandSize;
  assert(isAccessSize(size) && size > 1, "bits: operand size");
  const bits: u64 = 8 * size;
  const byRegister = i.form == FORM_RM_R;
  const offset = byRegister ? readRegister(e.vcpu, i, i.register, size) : i.immediate;
  if (i.memory) {
    // The offset is signed: it selects the operand-sized word, before or after the address, that holds the bit.
    const words = byRegister ? <u64>(<i64>signExtend(offset, size) >> (3 + <i64>ctz(size))) : 0;
    const address = (effectiveAddress(e) + words * size) & sizeMask(i.addressSize);
    const access = i.operation == OP_BT ? WALK_READ : WALK_WRITE;
    if (!locate(e, e.target, i.segment, address, size, access)) return false;
  }
  const held = loadRm(e);
  const bit = (<u64>1) << (offset & (bits - 1));
  if (i.operation != OP_BT && !storeRm(e, held, changed(i.operation, held, bit))) return false;
  setFlag(e, RFLAGS_CF, (held & bit) != 0);
  return true;
}

function changed(operation: u32, held: u64, bit: u64): u64 {
  assert(bit != 0 && (bit & (bit - 1)) == 0, "bits: one bit");
  assert(operation != OP_BT, "bits: BT changes nothing");
  if (operation == OP_BTS) return held | bit;
  return operation == OP_BTC ? held ^ bit : held & ~bit;
}
