// Operands of up to 32 bytes, moved between guest memory and `e.block`: what is wider than a general-purpose register, and
// several values on the stack at once. On a device they are accesses of at most 8 bytes, aligned as the operand allows.
import { phys_read, phys_write } from "../../arch/intrinsics";
import { NO_HPA } from "../../mm/frames";
import { machine } from "../../vcpu/machine";
import { Emulator, MAX_OPERAND_BYTES, Operand } from "./emulator";
import { isAccessSize } from "../../lib/sizes";

/** Copies the located operand into the first half of `e.block`. */
export function readBlock(e: Emulator, operand: Operand): void {
  assert(operand.size <= MAX_OPERAND_BYTES, "emulation: the operand is wider than a block");
  assert(operand.first != 0 && operand.first <= operand.size, "block: first piece");
  readPiece(e, operand.gpa, operand.hpa, e.block.memory(), operand.first);
  const rest = operand.size - operand.first;
  if (rest != 0) readPiece(e, operand.gpa2, operand.hpa2, e.block.memory() + operand.first, rest);
}

/** Copies the first half of `e.block` to the located operand. */
export function writeBlock(e: Emulator, operand: Operand): void {
  assert(operand.size <= MAX_OPERAND_BYTES, "emulation: the operand is wider than a block");
  assert(operand.first != 0 && operand.first <= operand.size, "block: first piece");
  writePiece(e, operand.gpa, operand.hpa, e.block.memory(), operand.first);
  const rest = operand.size - operand.first;
  if (rest != 0) writePiece(e, operand.gpa2, operand.hpa2, e.block.memory() + operand.first, rest);
}

/** Bytes of the next access to a device: a power of two, at most 8, to which `gpa` is aligned. */
function accessBytes(gpa: u64, left: u32): u32 {
  assert(left != 0, "block: nothing is left");
  let bytes: u32 = 8;
  while (bytes > left || (gpa & (bytes - 1)) != 0) bytes >>= 1;
  return bytes;
}

function readPiece(e: Emulator, gpa: u64, hpa: u64, target: usize, length: u32): void {
  assert(length <= MAX_OPERAND_BYTES, "block: piece of an operand");
  if (hpa != NO_HPA) {
    phys_read(target, hpa, length);
    return;
  }
  for (let done: u32 = 0; done < length; ) {
    const bytes = accessBytes(gpa + done, length - done);
    setPart(target + done, bytes, machine().mmioRead(e.vcpu, gpa + done, bytes));
    done += bytes;
  }
}

function writePiece(e: Emulator, gpa: u64, hpa: u64, source: usize, length: u32): void {
  assert(length <= MAX_OPERAND_BYTES, "block: piece of an operand");
  if (hpa != NO_HPA) {
    phys_write(hpa, source, length);
    return;
  }
  for (let done: u32 = 0; done < length; ) {
    const bytes = accessBytes(gpa + done, length - done);
    machine().mmioWrite(e.vcpu, gpa + done, bytes, part(source + done, bytes));
    done += bytes;
  }
}

/** `size` bytes (1, 2, 4 or 8) of a block, zero-extended. */
export function part(at: usize, size: u32): u64 {
  assert(isAccessSize(size), "block: bytes of a part");
  if (size == 1) return load<u8>(at);
  if (size == 2) return load<u16>(at);
  return size == 4 ? load<u32>(at) : load<u64>(at);
}

export function setPart(at: usize, size: u32, value: u64): void {
  assert(isAccessSize(size), "block: bytes of a part");
  if (size == 1) store<u8>(at, <u8>value);
  else if (size == 2) store<u16>(at, <u16>value);
  else if (size == 4) store<u32>(at, <u32>value);
  else store<u64>(at, value);
}
