// XCHG, XADD, CMPXCHG and CMPXCHG8B: a value goes out and another comes in, in one step where LOCK says so.
import { RFLAGS_ZF } from "../../arch/cr";
import { WALK_WRITE } from "../../mm/guestwalk";
import { RAX, RDX } from "../../vcpu/registers";
import { arithmetic } from "./alu";
import { Emulator } from "./emulator";
import { setFlag } from "./flags";
import { FORM_ACC_REG, FORM_RM_R, OP_ADD, OP_CMP, PREFIX_LOCK } from "./instruction";
import { executeCompareExchange16 } from "./special";
import { loadRmSized, openRmSized, readRegister, readRm, storeRm, writeRegister } from "./operand";
import { isAccessSize } from "../../lib/sizes";

export function executeExchange(e: Emulator): bool {
  const i = e.instruction;
  const size = i.operandSize;
  assert(isAccessSize(size), "exchange: operand size");
  if (i.form == FORM_ACC_REG) {
    const other = (i.opcode & 7) | ((i.rex & 1) << 3);
    // 90 without REX.B is NOP: it does not even clear the upper half of RAX.
    if (other == RAX) return true;
    const value = readRegister(e.vcpu, i, other, size);
    writeRegister(e.vcpu, i, other, size, readRegister(e.vcpu, i, RAX, size));
    writeRegister(e.vcpu, i, RAX, size, value);
    return true;
  }
  // With memory, XCHG locks without being told.
  i.prefixes |= PREFIX_LOCK;
  if (!readRm(e, WALK_WRITE)) return false;
  const held = e.value;
  if (!storeRm(e, held, readRegister(e.vcpu, i, i.register, size))) return false;
  writeRegister(e.vcpu, i, i.register, size, held);
  return true;
}

export function executeExchangeAdd(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.form == FORM_RM_R, "exchange: the source is a register");
  const size = i.operandSize;
  if (!readRm(e, WALK_WRITE)) return false;
  const held = e.value;
  const before = e.flags;
  const sum = arithmetic(e, OP_ADD, held, readRegister(e.vcpu, i, i.register, size), size);
  if (!i.memory) writeRegister(e.vcpu, i, i.register, size, held);
  if (!storeRm(e, held, sum)) {
    e.flags = before;
    return false;
  }
  if (i.memory) writeRegister(e.vcpu, i, i.register, size, held);
  return true;
}

/** Memory is written in any case: with its own value when the comparison fails. */
export function executeCompareExchange(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.form == FORM_RM_R, "exchange: the source is a register");
  const size = i.operandSize;
  if (!readRm(e, WALK_WRITE)) return false;
  const held = e.value;
  const accumulator = readRegister(e.vcpu, i, RAX, size);
  const equal = accumulator == held;
  const before = e.flags;
  arithmetic(e, OP_CMP, accumulator, held, size);
  if ((i.memory || equal) && !storeRm(e, held, equal ? readRegister(e.vcpu, i, i.register, size) : held)) {
    e.flags = before;
    return false;
  }
  if (!equal) writeRegister(e.vcpu, i, RAX, size, held);
  return true;
}

/** CMPXCHG8B; with REX.W CMPXCHG16B. */
export function executeCompareExchangePair(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.memory, "exchange: there is no form with registers alone");
  if (i.operandSize == 8) return executeCompareExchange16(e);
  if (!openRmSized(e, 8, WALK_WRITE)) return false;
  const vcpu = e.vcpu;
  const held = loadRmSized(e, 8);
  const expected = (vcpu.rdx << 32) | (vcpu.rax & 0xffffffff);
  const equal = held == expected;
  if (!storeRm(e, held, equal ? (vcpu.rcx << 32) | (vcpu.rbx & 0xffffffff) : held)) return false;
  setFlag(e, RFLAGS_ZF, equal);
  if (!equal) {
    writeRegister(vcpu, i, RAX, 4, held);
    writeRegister(vcpu, i, RDX, 4, held >> 32);
  }
  return true;
}
