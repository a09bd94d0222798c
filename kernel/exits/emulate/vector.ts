// Moves between memory and MMX, XMM and YMM registers (vectoropcodes.ts). The registers are the guest's own, live in the
// processor: one is read into `e.block`, or written from there (kernel/arch/intrinsics.ts). What the checks below let through,
// the processor can execute for the guest: XCR0 is the guest's, and the host's CR0 and CR4 allow everything.
import { CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE, XCR0_AVX, XCR0_SSE } from "../../arch/cr";
import { simd_read, simd_write, xgetbv } from "../../arch/intrinsics";
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { raise, VECTOR_GP, VECTOR_MF, VECTOR_NM, VECTOR_UD } from "../../vcpu/raise";
import { part, readBlock, setPart, writeBlock } from "./block";
import { Emulator, isRealMode } from "./emulator";
import { CODE_64, Instruction, OP_VECTOR, REX_W, VEX_L, VEX_REGISTER } from "./instruction";
import { failWith, locateAccess, toLinear } from "./linear";
import { effectiveAddress } from "./operand";
import {
  NO_VECTOR_MOVE,
  VECTOR_ACTION,
  VECTOR_ALIGNED,
  VECTOR_BROADCAST,
  VECTOR_EVEN4,
  VECTOR_EVEN8,
  VECTOR_HIGH,
  VECTOR_LOW,
  VECTOR_MMX,
  VECTOR_ODD4,
  VECTOR_STORE,
  vectorBytes,
} from "./vectoropcodes";

const MMX_BYTES: u32 = 8;
const XMM_BYTES: u32 = 16;
const YMM_BYTES: u32 = 32;
const AVX_STATE: u64 = XCR0_SSE | XCR0_AVX;

export function executeVector(e: Emulator): bool {
  const i = e.instruction;
  assert(i.memory && i.vector != NO_VECTOR_MOVE, "vector: a move of memory");
  const row = i.vector;
  const store = (row & VECTOR_STORE) != 0;
  const wide = e.mode == CODE_64 && (i.rex & REX_W) != 0;
  const bytes = vectorBytes(row, (i.vex & VEX_L) != 0, wide);
  assert(bytes != 0 && bytes <= YMM_BYTES, "vector: bytes of a vector");
  if (!isAvailable(e) || !locateVector(e, bytes, store ? WALK_WRITE : WALK_READ)) return false;
  return store ? storeVector(e) : loadVector(e, bytes);
}

function fail(e: Emulator, vector: u32): bool {
  e.outcome = raise(e.vcpu, vector);
  return false;
}

/** #UD and #NM, as the guest's control registers have it (SDM, the tables of exception conditions by class of instruction). */
function isAvailable(e: Emulator): bool {
  const vcpu = e.vcpu;
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation == OP_VECTOR, "vector: another instruction");
  if (i.vex != 0) {
    if (isRealMode(vcpu) || (vcpu.cr4 & CR4_OSXSAVE) == 0) return fail(e, VECTOR_UD);
    if ((xgetbv(0) & AVX_STATE) != AVX_STATE) return fail(e, VECTOR_UD);
  } else {
    if ((vcpu.cr0 & CR0_EM) != 0) return fail(e, VECTOR_UD);
    if ((i.vector & VECTOR_MMX) == 0 && (vcpu.cr4 & CR4_OSFXSR) == 0) return fail(e, VECTOR_UD);
  }
  return (vcpu.cr0 & CR0_TS) == 0 || fail(e, VECTOR_NM);
}

function locateVector(e: Emulator, bytes: u32, access: u32): bool {
  assert((bytes & (bytes - 1)) == 0, "vector: bytes of a vector");
  const i = e.instruction;
  if (!toLinear(e, i.segment, effectiveAddress(e), bytes, access)) return false;
  if ((i.vector & VECTOR_ALIGNED) != 0 && (e.linear & (bytes - 1)) != 0) return failWith(e, VECTOR_GP, 0);
  return locateAccess(e, e.target, bytes, access);
}

/** There are eight MMX registers, whatever REX says. */
function registerNumber(i: Instruction): u32 {
  assert(i.register < 16, "vector: no such register");
  return (i.vector & VECTOR_MMX) != 0 ? i.register & 7 : i.register;
}

function storeVector(e: Emulator): bool {
  assert((e.instruction.vector & VECTOR_STORE) != 0, "vector: a load");
  const i = e.instruction;
  const width = (i.vector & VECTOR_MMX) != 0 ? MMX_BYTES : (i.vex & VEX_L) != 0 ? YMM_BYTES : XMM_BYTES;
  if (simd_read(registerNumber(i), e.block.memory(), width) == 0) return fail(e, VECTOR_MF);
  if ((i.vector & VECTOR_ACTION) == VECTOR_HIGH) setPart(e.block.memory(), 8, part(e.block.memory() + 8, 8));
  writeBlock(e, e.target);
  return true;
}

/** Builds the register from what is in memory, and loads it as the instruction would, with VEX all of it. */
function loadVector(e: Emulator, bytes: u32): bool {
  assert((e.instruction.vector & VECTOR_STORE) == 0, "vector: a store");
  const i = e.instruction;
  const register = e.block.register();
  memory.fill(register, 0, YMM_BYTES);
  if ((i.vector & VECTOR_MMX) != 0) return loadMmx(e, bytes);
  const action = i.vector & VECTOR_ACTION;
  if (action == VECTOR_LOW || action == VECTOR_HIGH) {
    simd_read(i.vex != 0 ? i.vex & VEX_REGISTER : i.register, register, XMM_BYTES);
  }
  readBlock(e, e.target);
  const width = (i.vex & VEX_L) != 0 ? YMM_BYTES : XMM_BYTES;
  arrange(e, action, bytes, width);
  simd_write(i.register, register, i.vex != 0 ? YMM_BYTES : XMM_BYTES);
  return true;
}

/** The register is asked first: a device must not be read for an instruction that faults. */
function loadMmx(e: Emulator, bytes: u32): bool {
  if (isDefined(CHECKED)) assert((e.instruction.vector & VECTOR_MMX) != 0, "vector: not a register of MMX");
  assert(bytes == 4 || bytes == 8, "vector: bytes of an MMX operand");
  const register = e.block.register();
  if (simd_read(registerNumber(e.instruction), register, MMX_BYTES) == 0) return fail(e, VECTOR_MF);
  readBlock(e, e.target);
  setPart(register, 8, part(e.block.memory(), bytes));
  simd_write(registerNumber(e.instruction), register, MMX_BYTES);
  return true;
}

function arrange(e: Emulator, action: u32, bytes: u32, width: u32): void {
  if (isDefined(CHECKED)) assert(bytes != 0 && bytes <= width, "vector: more bytes than a register has");
  assert(width == XMM_BYTES || width == YMM_BYTES, "vector: bytes of a register");
  const to = e.block.register();
  switch (action) {
    case VECTOR_HIGH:
      setPart(to + 8, 8, part(e.block.memory(), 8));
      break;
    case VECTOR_BROADCAST:
      repeat(to, width, e.block.memory(), bytes);
      break;
    case VECTOR_EVEN8:
      for (let n: u32 = 0; n < width; n += 16) repeat(to + n, 16, e.block.memory() + n, 8);
      break;
    case VECTOR_EVEN4:
      for (let n: u32 = 0; n < width; n += 8) repeat(to + n, 8, e.block.memory() + n, 4);
      break;
    case VECTOR_ODD4:
      for (let n: u32 = 0; n < width; n += 8) repeat(to + n, 8, e.block.memory() + n + 4, 4);
      break;
    default:
      memory.copy(to, e.block.memory(), bytes);
      break;
  }
}

function repeat(to: usize, length: u32, from: usize, bytes: u32): void {
  assert(bytes != 0 && length % bytes == 0, "vector: a whole number of elements");
  for (let n: u32 = 0; n < length; n += bytes) memory.copy(to + n, from, bytes);
}
