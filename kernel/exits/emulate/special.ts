// Instructions with memory operands that are like no other: XLAT, BOUND, ARPL, CRC32, ADCX and ADOX, CMPXCHG16B.
import { RFLAGS_CF, RFLAGS_OF, RFLAGS_ZF } from "../../arch/cr";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { raise, VECTOR_BR, VECTOR_GP, VECTOR_UD } from "../../vcpu/raise";
import { RAX, RBX, RCX, RDX } from "../../vcpu/registers";
import { signExtend } from "./alu";
import { part, readBlock, setPart, writeBlock } from "./block";
import { Emulator, isRealMode } from "./emulator";
import { setFlag } from "./flags";
import { CODE_64, PREFIX_OPERAND, PREFIX_REP, PREFIX_REPNE, REX_W, SOURCE8 } from "./instruction";
import { failWith, locate, locateAccess, readOperand, sizeMask, toLinear } from "./linear";
import { effectiveAddress, loadRmSized, openRmSized, readRegister, storeRm, writeRegister } from "./operand";

/** CRC-32C (Castagnoli), reflected. */
const CRC32C: u32 = 0x82f6_3b78;
const RPL: u64 = 3;

/** AL = [rBX + AL]. */
export function executeTranslate(e: Emulator): bool {
  const i = e.instruction;
  assert(i.addressSize > 1, "special: address size");
  const at = (readRegister(e.vcpu, i, RBX, i.addressSize) + (e.vcpu.rax & 0xff)) & sizeMask(i.addressSize);
  if (!locate(e, e.target, i.segment, at, 1, WALK_READ)) return false;
  writeRegister(e.vcpu, i, RAX, 1, readOperand(e, e.target));
  return true;
}

/** #BR unless the signed index is within both bounds. */
export function executeBound(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.memory, "special: bounds are in memory");
  assert(e.mode != CODE_64, "special: not in 64-bit mode");
  const i = e.instruction;
  const size = i.operandSize;
  if (!openRmSized(e, 2 * size, WALK_READ)) return false;
  readBlock(e, e.target);
  const index = <i64>signExtend(readRegister(e.vcpu, i, i.register, size), size);
  const lower = <i64>signExtend(part(e.block.memory(), size), size);
  const upper = <i64>signExtend(part(e.block.memory() + size, size), size);
  if (index >= lower && index <= upper) return true;
  e.outcome = raise(e.vcpu, VECTOR_BR);
  return false;
}

/** Raises the selector's RPL to that of the register; ZF: it did. */
export function executeAdjustPrivilege(e: Emulator): bool {
  assert(e.mode != CODE_64, "special: not in 64-bit mode");
  const i = e.instruction;
  if (isRealMode(e.vcpu)) {
    e.outcome = raise(e.vcpu, VECTOR_UD);
    return false;
  }
  i.operandSize = 2;
  if (!openRmSized(e, 2, WALK_WRITE)) return false;
  const held = loadRmSized(e, 2);
  const wanted = readRegister(e.vcpu, i, i.register, 2) & RPL;
  const raised = (held & RPL) < wanted;
  if (!storeRm(e, held, raised ? (held & ~RPL) | wanted : held)) return false;
  setFlag(e, RFLAGS_ZF, raised);
  return true;
}

export function executeCrc32(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert((i.prefixes & PREFIX_REPNE) != 0, "special: without F2 it is another instruction");
  const size: u32 = (i.attributes & SOURCE8) != 0 ? 1 : i.operandSize;
  if (!openRmSized(e, size, WALK_READ)) return false;
  let data = loadRmSized(e, size);
  let crc = <u32>e.vcpu.gpr(i.register);
  for (let n: u32 = 0; n < size; n++) {
    crc ^= <u32>data & 0xff;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? CRC32C : 0);
    data >>= 8;
  }
  writeRegister(e.vcpu, i, i.register, 4, crc);
  return true;
}

/** ADCX has its carry in CF, ADOX (F3) in OF; no other flag changes. */
export function executeAddCarry(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED))
    assert((i.prefixes & (PREFIX_REP | PREFIX_OPERAND)) != 0, "special: neither ADCX nor ADOX");
  const size: u32 = (i.rex & REX_W) != 0 ? 8 : 4;
  if (!openRmSized(e, size, WALK_READ)) return false;
  const flag = (i.prefixes & PREFIX_REP) != 0 ? RFLAGS_OF : RFLAGS_CF;
  const carry: u64 = (e.flags & flag) != 0 ? 1 : 0;
  const a = readRegister(e.vcpu, i, i.register, size);
  const sum = (a + loadRmSized(e, size) + carry) & sizeMask(size);
  setFlag(e, flag, sum < a || (carry != 0 && sum == a));
  writeRegister(e.vcpu, i, i.register, size, sum);
  return true;
}

/** CMPXCHG16B: aligned, and two accesses to a device. RAM is reached only when the code or its page tables are not RAM. */
export function executeCompareExchange16(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(e.mode == CODE_64, "special: CMPXCHG16B needs REX.W");
  assert(i.memory && i.operandSize == 8, "special: sixteen bytes of memory");
  const vcpu = e.vcpu;
  if (!toLinear(e, i.segment, effectiveAddress(e), 16, WALK_WRITE)) return false;
  if ((e.linear & 15) != 0) return failWith(e, VECTOR_GP, 0);
  if (!locateAccess(e, e.target, 16, WALK_WRITE)) return false;
  readBlock(e, e.target);
  const low = part(e.block.memory(), 8);
  const high = part(e.block.memory() + 8, 8);
  const equal = low == vcpu.rax && high == vcpu.rdx;
  if (equal) {
    setPart(e.block.memory(), 8, vcpu.gpr(RBX));
    setPart(e.block.memory() + 8, 8, vcpu.gpr(RCX));
  } else {
    vcpu.setGpr(RAX, low);
    vcpu.setGpr(RDX, high);
  }
  writeBlock(e, e.target);
  setFlag(e, RFLAGS_ZF, equal);
  return true;
}
