// The state of a processor after power-up reset (SDM, "Processor State After Reset"; APM, "Initial Processor State"), in
// neutral form. Both backends start a vCPU from it; boot protocols (kernel/guest) then set what theirs promises.
import { CR0_ET, RFLAGS_RESERVED_ONE } from "../arch/cr";
import { PAT_RESET } from "../arch/msr";
import { EVENT_VALID, Vcpu } from "./vcpu";
import {
  GROUP_CONTROL,
  GROUP_INTERRUPTIBILITY,
  GROUP_RIP,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
  GROUP_TABLES,
  RDX,
  SEG_CS,
  SEG_ES,
  SEG_GS,
  SEG_LDTR,
  SEG_TR,
} from "./registers";

/** Every group of guest state. */
export const ALL_GROUPS: u32 =
  GROUP_RIP |
  GROUP_STACK_FLAGS |
  GROUP_SEGMENTS |
  GROUP_TABLES |
  GROUP_CONTROL |
  GROUP_SYSTEM |
  GROUP_INTERRUPTIBILITY;

const DR6_RESET: u64 = 0xffff_0ff0;
const DR7_RESET: u64 = 0x400;
/** RDX holds the processor's signature: a family-6 part. */
const SIGNATURE: u64 = 0x600;

// Access rights: present data read/write accessed; code execute/read accessed; LDT; busy 32-bit TSS.
const ACCESS_DATA: u32 = 0x93;
const ACCESS_CODE: u32 = 0x9b;
const ACCESS_LDT: u32 = 0x82;
const ACCESS_TSS: u32 = 0x8b;

function setSegment(vcpu: Vcpu, index: u32, selector: u32, base: u64, access: u32): void {
  assert(index <= SEG_TR, "reset: no such segment register");
  assert(selector <= 0xffff && base >> 32 == 0, "reset: reset state is that of real mode");
  const segment = vcpu.segment(index);
  segment.selector = selector;
  segment.base = base;
  segment.limit = 0xffff;
  segment.access = access;
}

/** Fills all neutral state with its power-up values, valid and dirty. Caches are on: CR0.CD and NW read as 0. */
export function powerUp(vcpu: Vcpu): void {
  for (let i: u32 = 0; i < 16; i++) vcpu.setGpr(i, 0);
  vcpu.setGpr(RDX, SIGNATURE);
  for (let i = SEG_ES; i <= SEG_GS; i++) setSegment(vcpu, i, 0, 0, ACCESS_DATA);
  setSegment(vcpu, SEG_CS, 0xf000, 0xffff0000, ACCESS_CODE);
  setSegment(vcpu, SEG_LDTR, 0, 0, ACCESS_LDT);
  setSegment(vcpu, SEG_TR, 0, 0, ACCESS_TSS);
  vcpu.rip = 0xfff0;
  vcpu.rflags = RFLAGS_RESERVED_ONE;
  vcpu.gdtrBase = 0;
  vcpu.gdtrLimit = 0xffff;
  vcpu.idtrBase = 0;
  vcpu.idtrLimit = 0xffff;
  vcpu.cr0 = CR0_ET;
  vcpu.cr2 = 0;
  vcpu.cr3 = 0;
  vcpu.cr4 = 0;
  vcpu.efer = 0;
  vcpu.dr0 = 0;
  vcpu.dr1 = 0;
  vcpu.dr2 = 0;
  vcpu.dr3 = 0;
  vcpu.dr6 = DR6_RESET;
  vcpu.dr7 = DR7_RESET;
  powerUpMsrs(vcpu);
  vcpu.interruptibility = 0;
  vcpu.pendingDebug = 0;
  vcpu.event &= ~EVENT_VALID;
  vcpu.deferredEvent = 0;
  vcpu.interruptWindow = 0;
  vcpu.nmiWindow = 0;
  vcpu.valid = ALL_GROUPS;
  vcpu.dirty = ALL_GROUPS;
}

function powerUpMsrs(vcpu: Vcpu): void {
  vcpu.pat = PAT_RESET;
  vcpu.sysenterCs = 0;
  vcpu.sysenterEsp = 0;
  vcpu.sysenterEip = 0;
  vcpu.star = 0;
  vcpu.lstar = 0;
  vcpu.cstar = 0;
  vcpu.fmask = 0;
  vcpu.kernelGsBase = 0;
  vcpu.debugctl = 0;
  // Fast string operations enabled, as processors start.
  vcpu.miscEnable = 1;
}
