// biome-ignore-all format: one register a line.
//
// MOV to and from debug registers, when they exit (SDM, "Debug Registers"; APM, "MOV DRn"). The processor has checked CPL.
import { CR4_DE } from "../arch/cr";
import { change, need } from "../vcpu/backend";
import { CR_READ, CR_UNDECODED } from "../vcpu/exit";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { breakpointAddress, DR6_ACCESS_DETECTED, DR7_GENERAL_DETECT, raiseDebug, setResumeFlag } from "../vcpu/debug";
import { raise, raiseGp, VECTOR_UD } from "../vcpu/raise";
import { GROUP_CONTROL, GROUP_STACK_FLAGS, GROUP_SYSTEM } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { codeSize, startEmulator } from "./emulate/emulator";
import { fetchInstruction } from "./emulate/fetch";
import { CODE_64, OP_MOV_FROM_DR } from "./emulate/instruction";

// Bits that read as ones, and bits that may be set.
const DR6_ONES: u64 = 0xffff_0ff0;
const DR6_SETTABLE: u64 = 0x0000_e00f;
const DR7_ONES: u64 = 0x0000_0400;
const DR7_SETTABLE: u64 = 0xffff_2bff;

export function handleDr(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  need(vcpu, GROUP_CONTROL | GROUP_STACK_FLAGS | GROUP_SYSTEM);
  let gpr = exit.gpr;
  let read = exit.crAccess == CR_READ;
  if (exit.crAccess == CR_UNDECODED) {
    const e = startEmulator(vcpu);
    if (!fetchInstruction(e)) return e.outcome;
    exit.nextRip = e.nextRip;
    gpr = e.instruction.rm;
    read = e.instruction.operation == OP_MOV_FROM_DR;
  }
  let number = exit.crNumber & 7;
  if (number == 4 || number == 5) {
    // Without debugging extensions they are other names of DR6 and DR7.
    if ((vcpu.cr4 & CR4_DE) != 0) return raise(vcpu, VECTOR_UD);
    number += 2;
  }
  if ((vcpu.dr7 & DR7_GENERAL_DETECT) != 0) return raiseDetected(vcpu);
  const mask: u64 = codeSize(vcpu) == CODE_64 ? U64.MAX_VALUE : 0xffffffff;
  if (!read) return writeDebug(vcpu, number, vcpu.gpr(gpr) & mask);
  vcpu.setGpr(gpr, readDebug(vcpu, number) & mask);
  return OUTCOME_ADVANCE;
}

/** DR7.GD: any access to a debug register raises #DB before it happens, a fault: the handler returns to the access. */
function raiseDetected(vcpu: Vcpu): u32 {
  setResumeFlag(vcpu, true);
  return raiseDebug(vcpu, DR6_ACCESS_DETECTED);
}

function readDebug(vcpu: Vcpu, number: u32): u64 {
  if (number < 4) return breakpointAddress(vcpu, number);
  return number == 6 ? vcpu.dr6 : vcpu.dr7;
}

function writeDebug(vcpu: Vcpu, number: u32, value: u64): u32 {
  if (number >= 6 && value >> 32 != 0) return raiseGp(vcpu);
  change(vcpu, GROUP_SYSTEM);
  switch (number) {
    case 0: vcpu.dr0 = value; break;
    case 1: vcpu.dr1 = value; break;
    case 2: vcpu.dr2 = value; break;
    case 3: vcpu.dr3 = value; break;
    case 6: vcpu.dr6 = (value & DR6_SETTABLE) | DR6_ONES; break;
    default: vcpu.dr7 = (value & DR7_SETTABLE) | DR7_ONES; break;
  }
  return OUTCOME_ADVANCE;
}
