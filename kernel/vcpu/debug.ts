// Debug exceptions raised on the guest's behalf: which breakpoints an access meets, and what else #DB changes (SDM, "Debug
// Registers", "Debug Exceptions", "IA32_DEBUGCTL MSR"; APM volume 2, "Debug Registers", "Breakpoints"). Conditions have the form
// of DR6:
//
//   15  14  13  3..0
//   BT  BS  BD  B3..B0
import { CR4_DE, RFLAGS_RF } from "../arch/cr";
import { DEBUGCTL_BTF, DEBUGCTL_LBR } from "../arch/msr";
import { change, need } from "./backend";
import { raise, VECTOR_DB } from "./raise";
import { GROUP_CONTROL, GROUP_STACK_FLAGS, GROUP_SYSTEM } from "./registers";
import { Vcpu } from "./vcpu";

export const DR6_BREAKPOINTS: u64 = 0xf;
/** BD: general detect. */
export const DR6_ACCESS_DETECTED: u64 = 1 << 13;
/** BS: single step. */
export const DR6_SINGLE_STEP: u64 = 1 << 14;
/** BT: the T flag of a task. */
export const DR6_TASK_SWITCH: u64 = 1 << 15;

export const DR7_GENERAL_DETECT: u64 = 1 << 13;
/** L0, G0, L1 … G3: with none of them no access meets a breakpoint. */
export const DR7_ENABLES: u32 = 0xff;

// Kinds of access, as DR7's R/W fields name breakpoints that only these meet.
export const ACCESS_WRITES: u32 = 1;
export const ACCESS_PORT: u32 = 2;
/** No field names it: breakpoints of kind 3 are met by reads and by writes of data. */
export const ACCESS_READS: u32 = 3;
const READS_AND_WRITES: u32 = 3;

const BREAKPOINTS: u32 = 4;
/** Place of R/W0 in DR7, whose four bits R/W and LEN are repeated for each breakpoint. */
const FIRST_CONDITION: u32 = 16;

/** Bytes of a breakpoint's LEN field: 1, 2, 8, 4. */
function breakpointBytes(field: u32): u64 {
  assert(field <= 3, "debug: LEN is two bits");
  return field == 2 ? 8 : <u64>field + 1;
}

/** DR0 to DR3. GROUP_SYSTEM must be valid. */
export function breakpointAddress(vcpu: Vcpu, index: u32): u64 {
  assert(index < BREAKPOINTS, "debug: no such breakpoint");
  assert((vcpu.valid & GROUP_SYSTEM) != 0, "debug: debug registers are not valid");
  switch (index) {
    case 0:
      return vcpu.dr0;
    case 1:
      return vcpu.dr1;
    case 2:
      return vcpu.dr2;
    default:
      return vcpu.dr3;
  }
}

/**
 * B0 to B3 of the enabled breakpoints that an access of `bytes` bytes meets. `address`: guest-linear, or a port; `access`:
 * ACCESS_*. Breakpoints on ports need CR4.DE.
 */
export function breakpointsMet(vcpu: Vcpu, address: u64, bytes: u64, access: u32): u64 {
  assert(bytes != 0 && bytes <= 64, "debug: bytes of an access");
  assert(access >= ACCESS_WRITES && access <= ACCESS_READS, "debug: kind of access");
  need(vcpu, GROUP_SYSTEM | GROUP_CONTROL);
  if (access == ACCESS_PORT && (vcpu.cr4 & CR4_DE) == 0) return 0;
  const dr7 = <u32>vcpu.dr7;
  let met: u64 = 0;
  for (let i: u32 = 0; i < BREAKPOINTS; i++) {
    if (((dr7 >> (2 * i)) & 3) == 0) continue;
    const condition = (dr7 >> (FIRST_CONDITION + 4 * i)) & 15;
    const kind = condition & 3;
    if (kind != access && (kind != READS_AND_WRITES || access != ACCESS_WRITES)) continue;
    const length = breakpointBytes(condition >> 2);
    const first = breakpointAddress(vcpu, i) & ~(length - 1);
    // Both ranges may end at the last address of all: their distances are compared, not their ends.
    if (first - address < bytes || address - first < length) met |= (<u64>1) << i;
  }
  assert((met & ~DR6_BREAKPOINTS) == 0, "debug: four breakpoints");
  return met;
}

/**
 * RF while an instruction is not over: between two elements of a repeated one, or when it is to be run again. Its own breakpoint,
 * which has been met, is then not met again.
 */
export function setResumeFlag(vcpu: Vcpu, inside: bool): void {
  need(vcpu, GROUP_STACK_FLAGS);
  if (isDefined(CHECKED)) assert((vcpu.valid & GROUP_STACK_FLAGS) != 0, "debug: flags are not valid");
  const flags = inside ? vcpu.rflags | RFLAGS_RF : vcpu.rflags & ~RFLAGS_RF;
  if (flags == vcpu.rflags) return;
  vcpu.rflags = flags;
  vcpu.dirty |= GROUP_STACK_FLAGS;
}

/**
 * #DB for `conditions` (DR6_*), with what its delivery does to the debug registers: new conditions replace those breakpoints that
 * DR6 reports, general detect ends, and so does recording and single-stepping of branches. Returns OUTCOME_INJECT.
 */
export function raiseDebug(vcpu: Vcpu, conditions: u64): u32 {
  if (isDefined(CHECKED)) assert(conditions >> 16 == 0, "debug: conditions have the form of DR6");
  assert(conditions != 0, "debug: a #DB about nothing");
  change(vcpu, GROUP_SYSTEM);
  vcpu.dr6 = (vcpu.dr6 & ~DR6_BREAKPOINTS) | conditions;
  vcpu.dr7 &= ~DR7_GENERAL_DETECT;
  vcpu.debugctl &= ~(DEBUGCTL_BTF | DEBUGCTL_LBR);
  return raise(vcpu, VECTOR_DB);
}
