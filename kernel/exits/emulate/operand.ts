// The operands of a decoded instruction: registers of any width, and the r/m operand that is a register or memory.
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { Vcpu } from "../../vcpu/vcpu";
import { Emulator } from "./emulator";
import { BASE_RIP, Instruction, NO_REGISTER, PREFIX_LOCK } from "./instruction";
import { locate, readOperand, useFaultAddress, replaceOperand, sizeMask, writeOperand } from "./linear";
import { isAccessSize } from "../../lib/sizes";

/** Without REX, byte registers 4 to 7 are AH, CH, DH and BH. */
function isHighByte(i: Instruction, number: u32, size: u32): bool {
  assert(number < 16, "operand: no such register");
  return size == 1 && i.rex == 0 && number >= 4 && number < 8;
}

/** The low `size` bytes of a register, zero-extended. */
export function readRegister(vcpu: Vcpu, i: Instruction, number: u32, size: u32): u64 {
  assert(isAccessSize(size), "operand: operand size");
  if (isHighByte(i, number, size)) return (vcpu.gpr(number - 4) >> 8) & 0xff;
  return vcpu.gpr(number) & sizeMask(size);
}

/** Writes the low `size` bytes of a register. Writes of 4 bytes clear the upper half; narrower ones leave the rest. */
export function writeRegister(vcpu: Vcpu, i: Instruction, number: u32, size: u32, value: u64): void {
  assert(isAccessSize(size), "operand: operand size");
  if (isHighByte(i, number, size)) {
    vcpu.setGpr(number - 4, (vcpu.gpr(number - 4) & ~0xff00) | ((value & 0xff) << 8));
    return;
  }
  const mask = sizeMask(size);
  const kept = size >= 4 ? 0 : vcpu.gpr(number) & ~mask;
  vcpu.setGpr(number, kept | (value & mask));
}

/** Offset of the memory operand in its segment. */
export function effectiveAddress(e: Emulator): u64 {
  const i = e.instruction;
  assert(isAccessSize(i.addressSize) && i.addressSize > 1 && i.scale <= 3, "operand: address size");
  assert(i.index < 16 || i.index == NO_REGISTER, "operand: no such register");
  assert(i.base < 16 || i.base == NO_REGISTER || i.base == BASE_RIP, "operand: no such register");
  let address = i.displacement;
  if (i.base == BASE_RIP) address += e.nextRip;
  else if (i.base != NO_REGISTER) address += e.vcpu.gpr(i.base);
  if (i.index != NO_REGISTER) address += e.vcpu.gpr(i.index) << i.scale;
  return address & sizeMask(i.addressSize);
}

/** Locates the r/m operand, `size` bytes, as `e.target` when it is memory. `access`: 0, or WALK_WRITE if it will be written. */
export function openRmSized(e: Emulator, size: u32, access: u32): bool {
  if (isDefined(CHECKED)) assert(access == WALK_READ || access == WALK_WRITE, "operand: access");
  const i = e.instruction;
  if (!i.memory || useFaultAddress(e, size, access)) return true;
  return locate(e, e.target, i.segment, effectiveAddress(e), size, access);
}

/** The same in operand size. */
export function openRm(e: Emulator, access: u32): bool {
  return openRmSized(e, e.instruction.operandSize, access);
}

/** Reads the opened r/m operand. */
export function loadRmSized(e: Emulator, size: u32): u64 {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(!i.memory || e.target.size == size, "operand: opened in another size");
  return i.memory ? readOperand(e, e.target) : readRegister(e.vcpu, i, i.rm, size);
}

export function loadRm(e: Emulator): u64 {
  return loadRmSized(e, e.instruction.operandSize);
}

/** Writes the opened r/m operand. With LOCK, fails if memory no longer holds `held`: the instruction is then run again. */
export function storeRm(e: Emulator, held: u64, value: u64): bool {
  const i = e.instruction;
  assert(!i.memory || e.target.size <= 8, "operand: operand size");
  if (!i.memory) writeRegister(e.vcpu, i, i.rm, i.operandSize, value);
  else if ((i.prefixes & PREFIX_LOCK) != 0) return replaceOperand(e, e.target, held, value);
  else writeOperand(e, e.target, value);
  return true;
}

/** Opens and reads r/m, in operand size, into `e.value`. */
export function readRm(e: Emulator, access: u32): bool {
  if (!openRm(e, access)) return false;
  e.value = loadRm(e);
  if (isDefined(CHECKED))
    assert((e.value & ~sizeMask(e.instruction.operandSize)) == 0, "operand: operands are zero-extended");
  return true;
}

/** Opens and writes r/m in operand size. */
export function writeRm(e: Emulator, value: u64): bool {
  return openRm(e, WALK_WRITE) && storeRm(e, 0, value);
}
