// The instruction at the guest's RIP, copied once and decoded.
import { phys_load64, phys_read } from "../../arch/intrinsics";
import { MAX_INSTRUCTION_BYTES } from "../../lib/limits";
import { NO_HPA } from "../../mm/frames";
import { raise, VECTOR_GP, VECTOR_UD } from "../../vcpu/raise";
import { Vcpu } from "../../vcpu/vcpu";
import { decode, DECODE_OK, DECODE_TRUNCATED, DECODE_UNDEFINED } from "./decode";
import {
  CODE_BYTES,
  Decoded,
  decodedAt,
  decodedInstruction,
  hasBytes,
  isStillThere,
  remember,
} from "./decoded";
import { Emulator, Operand } from "./emulator";
import { CODE_64, Instruction } from "./instruction";
import { codeAddress, failWith, fetchAccess, locateLinear } from "./linear";
import { refuse } from "./refuse";

/**
 * Fetches and decodes the instruction at RIP into `e.instruction`, and sets `e.nextRip`. False, with `e.outcome` set: the
 * bytes are no instruction (#UD, #GP), cannot be read (#PF), or are of an encoding that is not covered (refuse.ts).
 */
export function fetchInstruction(e: Emulator): bool {
  const exit = e.vcpu.exit;
  const d = decodedAt(e);
  if (exit.byteCount == 0) {
    if (!isStillThere(e, d)) return fetchAnew(e, d);
  } else if (!hasBytes(e, d, exit.bytes0, exit.bytes1)) {
    return fetchAnew(e, d);
  }
  const i = decodedInstruction(d);
  e.instruction = i;
  if (isDefined(CHECKED))
    assert(i.length != 0 && i.length <= MAX_INSTRUCTION_BYTES, "fetch: length of an instruction");
  e.nextRip = wrapRip(e, e.vcpu.rip + i.length);
  return true;
}

/** Fetches and decodes into `d`, and remembers it there if it lies in one page. */
function fetchAnew(e: Emulator, d: Decoded): bool {
  const vcpu = e.vcpu;
  const supplied = vcpu.exit.byteCount != 0;
  const i = decodedInstruction(d);
  e.instruction = i;
  d.valid = false;
  i.mode = e.mode;
  i.bytes0 = 0;
  i.bytes1 = 0;
  i.available = 0;
  if (supplied) takeSuppliedBytes(i, vcpu);
  else if (!copyBytes(e, vcpu.rip)) return false;
  const hpa = supplied ? NO_HPA : e.source.hpa;
  const result = decode(i);
  if (result == DECODE_TRUNCATED && i.available < MAX_INSTRUCTION_BYTES) return fetchAcrossPages(e);
  if (result != DECODE_OK) return failDecode(e, result);
  if (isDefined(CHECKED)) assert(i.length != 0 && i.length <= i.available, "fetch: length of an instruction");
  e.nextRip = wrapRip(e, vcpu.rip + i.length);
  const inOnePage = (codeAddress(e, vcpu.rip) & 0xfff) + CODE_BYTES <= 4096;
  if (supplied || (inOnePage && hpa != NO_HPA)) remember(d, vcpu, e.mode, hpa, e.walk);
  return true;
}

function takeSuppliedBytes(i: Instruction, vcpu: Vcpu): void {
  if (isDefined(CHECKED)) assert(vcpu.exit.byteCount != 0, "fetch: no bytes");
  const exit = vcpu.exit;
  i.bytes0 = exit.bytes0;
  i.bytes1 = exit.bytes1;
  i.available = exit.byteCount < MAX_INSTRUCTION_BYTES ? exit.byteCount : MAX_INSTRUCTION_BYTES;
}

/** Only an instruction that goes on in the next page reads that page. */
function fetchAcrossPages(e: Emulator): bool {
  if (isDefined(CHECKED)) assert(e.instruction.available != 0, "fetch: no bytes of the first page");
  const i = e.instruction;
  if (!copyBytes(e, e.vcpu.rip)) return false;
  const result = decode(i);
  if (result != DECODE_OK) return failDecode(e, result);
  e.nextRip = wrapRip(e, e.vcpu.rip + i.length);
  return true;
}

/** An instruction of more than 15 bytes is #GP. */
function failDecode(e: Emulator, result: u32): bool {
  if (isDefined(CHECKED)) assert(result != DECODE_OK, "fetch: nothing failed");
  if (result == DECODE_TRUNCATED) return failWith(e, VECTOR_GP, 0);
  if (result == DECODE_UNDEFINED) e.outcome = raise(e.vcpu, VECTOR_UD);
  else return refuse(e);
  return false;
}

/** RIP in the width of the code segment: 64 bits, or 32. */
export function wrapRip(e: Emulator, rip: u64): u64 {
  return e.mode == CODE_64 ? rip : rip & 0xffffffff;
}

/** Appends bytes up to the end of their page, or to the longest instruction's length. */
function copyBytes(e: Emulator, rip: u64): bool {
  if (isDefined(CHECKED))
    assert(e.instruction.available < MAX_INSTRUCTION_BYTES, "fetch: more bytes than an instruction has");
  const i = e.instruction;
  const operand: Operand = e.source;
  const gva = codeAddress(e, rip + i.available);
  const room = <u32>(4096 - (gva & 0xfff));
  const wanted = MAX_INSTRUCTION_BYTES - i.available;
  const length = wanted < room ? wanted : room;
  if (!locateLinear(e, operand, gva, length, fetchAccess(e))) return false;
  if (operand.hpa == NO_HPA) {
    // As on a computer where nothing answers; a device's registers are no code.
    memory.fill(changetype<usize>(i) + i.available, 0xff, length);
  } else if (i.available == 0 && <u64>room >= CODE_BYTES) {
    i.bytes0 = phys_load64(operand.hpa);
    i.bytes1 = phys_load64(operand.hpa + 8);
  } else {
    phys_read(changetype<usize>(i) + i.available, operand.hpa, length);
  }
  i.available += length;
  if (isDefined(CHECKED))
    assert(i.available <= MAX_INSTRUCTION_BYTES, "fetch: more bytes than an instruction has");
  return true;
}
