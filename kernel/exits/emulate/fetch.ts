// The instruction at the guest's RIP, copied once and decoded.
import { phys_read } from "../../arch/intrinsics";
import { STATUS_UNHANDLED_EXIT } from "../../abi/status";
import { LOG_ERROR, logEnd, logHex, logHexFixed, logStart, logText } from "../../lib/log";
import { MAX_INSTRUCTION_BYTES } from "../../lib/limits";
import { NO_HPA } from "../../mm/frames";
import { machine } from "../../vcpu/machine";
import { raise, VECTOR_GP, VECTOR_UD } from "../../vcpu/raise";
import { decode, DECODE_OK, DECODE_TRUNCATED, DECODE_UNDEFINED } from "./decode";
import { Emulator, Operand } from "./emulator";
import { CODE_64, Instruction } from "./instruction";
import { codeAddress, failWith, fetchAccess, locateLinear } from "./linear";

/**
 * Fetches and decodes the instruction at RIP into `e.instruction`, and sets `e.nextRip`. False, with `e.outcome` set: the
 * bytes are no instruction (#UD, #GP), cannot be read (#PF), or are of an encoding that is not covered (the VM stops).
 */
export function fetchInstruction(e: Emulator): bool {
  const vcpu = e.vcpu;
  const exit = vcpu.exit;
  const i = e.instruction;
  i.mode = e.mode;
  i.bytes0 = 0;
  i.bytes1 = 0;
  i.available = 0;
  if (exit.byteCount != 0) {
    i.bytes0 = exit.bytes0;
    i.bytes1 = exit.bytes1;
    i.available = exit.byteCount < MAX_INSTRUCTION_BYTES ? exit.byteCount : MAX_INSTRUCTION_BYTES;
  } else if (!copyBytes(e, vcpu.rip)) {
    return false;
  }
  let result = decode(i);
  if (result == DECODE_TRUNCATED && i.available < MAX_INSTRUCTION_BYTES) {
    // Only an instruction that goes on in the next page reads that page.
    if (!copyBytes(e, vcpu.rip)) return false;
    result = decode(i);
  }
  if (result == DECODE_OK) {
    e.nextRip = wrapRip(e, vcpu.rip + i.length);
    return true;
  }
  if (result == DECODE_TRUNCATED) return failWith(e, VECTOR_GP, 0);
  e.outcome =
    result == DECODE_UNDEFINED ? raise(vcpu, VECTOR_UD) : refuse(e, "emulation: instruction not covered");
  return false;
}

/** RIP in the width of the code segment: 64 bits, or 32. */
export function wrapRip(e: Emulator, rip: u64): u64 {
  return e.mode == CODE_64 ? rip : rip & 0xffffffff;
}

/** Appends bytes up to the end of their page, or to the longest instruction's length. */
function copyBytes(e: Emulator, rip: u64): bool {
  const i = e.instruction;
  const operand: Operand = e.source;
  const gva = codeAddress(e, rip + i.available);
  const room = <u32>(4096 - (gva & 0xfff));
  const wanted = MAX_INSTRUCTION_BYTES - i.available;
  const length = wanted < room ? wanted : room;
  if (!locateLinear(e, operand, gva, length, fetchAccess(e))) return false;
  if (operand.hpa == NO_HPA) {
    e.outcome = refuse(e, "emulation: the guest executes what is not RAM, at");
    return false;
  }
  phys_read(changetype<usize>(i) + i.available, operand.hpa, length);
  i.available += length;
  return true;
}

/** Stops the VM, naming the place and the bytes there. */
export function refuse(e: Emulator, why: string): u32 {
  if (logStart(LOG_ERROR)) {
    logText(why);
    logText(": RIP ");
    logHex(e.vcpu.rip);
    logText(", bytes");
    logInstruction(e.instruction);
    logEnd();
  }
  return machine().stop(e.vcpu, STATUS_UNHANDLED_EXIT);
}

function logInstruction(i: Instruction): void {
  const count = i.length != 0 && i.length < i.available ? i.length : i.available;
  for (let n: u32 = 0; n < count; n++) {
    logText(" ");
    logHexFixed(i.byteAt(n), 2);
  }
}
