// What emulating one instruction needs around the decoded instruction: the mode and privilege it runs in, the page walk,
// and the two memory operands that the widest instruction has. One per vCPU; an exit never yields while it is in use.
import { CR0_PE, RFLAGS_AC, RFLAGS_IOPL, RFLAGS_VM } from "../../arch/cr";
import { EFER_LMA } from "../../arch/msr";
import { arenaAlloc } from "../../lib/arena";
import { EmulatorLink } from "../../lib/links";
import { GuestMemory } from "../../mm/guestmem";
import { GUEST_WALK_BYTES, GuestWalk, WALK_SMAP_OPEN, WALK_USER } from "../../mm/guestwalk";
import { backend, need } from "../../vcpu/backend";
import { machine } from "../../vcpu/machine";
import { OUTCOME_RESUME } from "../../vcpu/outcome";
import {
  GROUP_CONTROL,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  SEG_CS,
  SEG_SS,
  Segment,
  SEGMENT_DEFAULT_BIG,
  SEGMENT_DPL_SHIFT,
  SEGMENT_LONG,
  segmentGroup,
} from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { TASK_STATE_BYTES, TaskState } from "../task";
import { CODE_16, CODE_32, CODE_64, Instruction } from "./instruction";

/** Where a memory operand lies: one piece of guest-physical memory, or two when it crosses a page. */
@unmanaged
export class Operand {
  /** Guest-physical and host-physical address of the first piece; NO_HPA when it is not RAM. */
  gpa: u64;
  hpa: u64;
  /** The same of the second piece. */
  gpa2: u64;
  hpa2: u64;
  /** Bytes in all, and in the first piece. */
  size: u32;
  first: u32;
}

/** Bytes of the widest operand, a YMM register. */
export const MAX_OPERAND_BYTES: u32 = 32;

/** Room for one such operand as it is in memory, and for one register. */
@unmanaged
class Block {
  /** Linear address of the operand's bytes. */
  memory(): usize {
    return changetype<usize>(this);
  }

  /** Linear address of the register's bytes. */
  register(): usize {
    return changetype<usize>(this) + MAX_OPERAND_BYTES;
  }
}

@unmanaged
export class Emulator extends EmulatorLink {
  vcpu: Vcpu;
  memory: GuestMemory;
  /** Code size: CODE_16, CODE_32 or CODE_64. */
  mode: u32;
  /** What ended the instruction before its time: an Outcome of kernel/vcpu/outcome.ts, set wherever `false` is returned. */
  outcome: u32;
  /** RIP to go on at when the instruction is done. */
  nextRip: u64;
  /** Linear address of the operand last located. */
  linear: u64;
  /** Operand last read. */
  value: u64;
  /** RFLAGS as the instruction leaves them. */
  flags: u64;
  /**
   * The guest-physical address that a nested page fault reported, or NO_GPA: an operand whose offset within its page is
   * the same lies there, and needs no walk.
   */
  faultGpa: u64;
  faultWrite: bool;
  /** DR7's enable bits; 0: no access has to be compared with breakpoints. */
  breakpoints: u32;
  /** Instructions that were not covered, since the vCPU was created. */
  refused: u32;
  instruction: Instruction;
  walk: GuestWalk;
  source: Operand;
  target: Operand;
  /** The task that is being switched to. */
  task: TaskState;
  /** What goes between memory and registers wider than 8 bytes. */
  block: Block;
}

/** No operand lies there: see `isFaultAddress`. */
export const NO_GPA: u64 = 0xffff_ffff_ffff_f000;

/** Decoded instructions that are remembered (decoded.ts); a power of two. */
const DECODED_SLOTS: usize = 8;
export const DECODED_BYTES: usize = 512;

const WALK_OFFSET: usize = (offsetof<Emulator>() + 15) & ~15;
const SOURCE_OFFSET: usize = (WALK_OFFSET + GUEST_WALK_BYTES + 15) & ~15;
const TARGET_OFFSET: usize = (SOURCE_OFFSET + offsetof<Operand>() + 15) & ~15;
const SCRATCH_OFFSET: usize = (TARGET_OFFSET + offsetof<Operand>() + 15) & ~15;
const TASK_OFFSET: usize = (SCRATCH_OFFSET + offsetof<Instruction>() + 15) & ~15;
const BLOCK_OFFSET: usize = (TASK_OFFSET + TASK_STATE_BYTES + 63) & ~63;
const DECODED_OFFSET: usize = BLOCK_OFFSET + 2 * MAX_OPERAND_BYTES;
const EMULATOR_BYTES: usize = DECODED_OFFSET + DECODED_SLOTS * DECODED_BYTES;

/** Gives a vCPU its emulator; boot time only, when the machine's functions are installed. */
export function emulatorCreate(vcpu: Vcpu): void {
  assert(changetype<usize>(vcpu.emulator) == 0, "emulation: created twice");
  const at = arenaAlloc(EMULATOR_BYTES, 64);
  const e = changetype<Emulator>(at);
  vcpu.emulator = e;
  e.vcpu = vcpu;
  e.memory = machine().guestMemory(vcpu);
  e.walk = changetype<GuestWalk>(at + WALK_OFFSET);
  e.source = changetype<Operand>(at + SOURCE_OFFSET);
  e.target = changetype<Operand>(at + TARGET_OFFSET);
  e.task = changetype<TaskState>(at + TASK_OFFSET);
  e.block = changetype<Block>(at + BLOCK_OFFSET);
  e.instruction = scratchInstruction(e);
  e.walk.memory = e.memory;
  e.walk.physicalBits = machine().physicalBits(vcpu);
}

/** An instruction that is described by hand, not decoded. */
export function scratchInstruction(e: Emulator): Instruction {
  return changetype<Instruction>(changetype<usize>(e) + SCRATCH_OFFSET);
}

/** The instruction that the vCPU's last emulated exit was about. */
export function emulatedInstruction(vcpu: Vcpu): Instruction {
  assert(changetype<usize>(vcpu.emulator) != 0, "emulation: the vCPU has no emulator");
  return changetype<Emulator>(vcpu.emulator).instruction;
}

/** Linear address of the slot `number` for a decoded instruction. */
export function decodedSlot(e: Emulator, number: usize): usize {
  return changetype<usize>(e) + DECODED_OFFSET + (number & (DECODED_SLOTS - 1)) * DECODED_BYTES;
}

/** Makes the vCPU's emulator ready for one instruction. */
export function startEmulator(vcpu: Vcpu): Emulator {
  // All in one call of the backend.
  const code = (vcpu.valid & GROUP_SEGMENTS) != 0 ? 0 : segmentGroup(SEG_CS);
  need(vcpu, GROUP_CONTROL | GROUP_STACK_FLAGS | code);
  if (isDefined(CHECKED))
    assert(changetype<usize>(vcpu.emulator) != 0, "emulation: the vCPU has no emulator");
  const e = changetype<Emulator>(vcpu.emulator);
  if (isDefined(CHECKED)) assert(e.vcpu === vcpu, "emulation: the emulator of another vCPU");
  e.mode = codeSize(vcpu);
  e.outcome = OUTCOME_RESUME;
  e.flags = vcpu.rflags;
  e.nextRip = 0;
  e.faultGpa = NO_GPA;
  e.faultWrite = false;
  e.breakpoints = 0;
  return e;
}

/** From now on the instruction's accesses are compared with the guest's breakpoints, if the exit record says that it has any. */
export function watchAccesses(e: Emulator): void {
  if (isDefined(CHECKED))
    assert(e.faultGpa == NO_GPA, "emulation: an operand may have been taken at the fault's address");
  if (isDefined(CHECKED)) assert(e.breakpoints == 0, "emulation: watched twice");
  const exit = e.vcpu.exit;
  if (exit.plainLength == 0) e.breakpoints = exit.breakpoints;
}

/** Segment register `index`, read alone, when it is asked for. To look at only. */
export function segmentOf(vcpu: Vcpu, index: u32): Segment {
  const single = segmentGroup(index);
  if ((vcpu.valid & (GROUP_SEGMENTS | single)) == 0) backend().loadState(vcpu, single);
  if (isDefined(CHECKED))
    assert((vcpu.valid & (GROUP_SEGMENTS | single)) != 0, "emulation: the segment register is not valid");
  return vcpu.segment(index);
}

/** CODE_16, CODE_32 or CODE_64. GROUP_CONTROL must be valid. */
export function codeSize(vcpu: Vcpu): u32 {
  if (isDefined(CHECKED))
    assert((vcpu.valid & GROUP_CONTROL) != 0, "emulation: control registers are not valid");
  const access = segmentOf(vcpu, SEG_CS).access;
  if (isDefined(CHECKED))
    assert((vcpu.efer & EFER_LMA) == 0 || (vcpu.cr0 & CR0_PE) != 0, "emulation: long mode is protected mode");
  if ((vcpu.efer & EFER_LMA) != 0 && (access & SEGMENT_LONG) != 0) return CODE_64;
  return (access & SEGMENT_DEFAULT_BIG) != 0 ? CODE_32 : CODE_16;
}

/** CPL: the backends keep it in SS.DPL; 0 in real mode, 3 in virtual-8086 mode. */
export function privilegeLevel(vcpu: Vcpu): u32 {
  if (isDefined(CHECKED))
    assert((vcpu.valid & GROUP_CONTROL) != 0, "emulation: control registers are not valid");
  if ((vcpu.cr0 & CR0_PE) == 0) return 0;
  if (isDefined(CHECKED)) assert((vcpu.valid & GROUP_STACK_FLAGS) != 0, "emulation: flags are not valid");
  if ((vcpu.rflags & RFLAGS_VM) != 0) return 3;
  return (segmentOf(vcpu, SEG_SS).access >> SEGMENT_DPL_SHIFT) & 3;
}

/** IOPL: the privilege that port access and changes of IF need. */
export function ioPrivilege(vcpu: Vcpu): u32 {
  if (isDefined(CHECKED)) assert((vcpu.valid & GROUP_STACK_FLAGS) != 0, "emulation: flags are not valid");
  return <u32>((vcpu.rflags & RFLAGS_IOPL) >> 12);
}

/** WALK_USER, WALK_SMAP_OPEN: as what data accesses of the instruction are made. */
export function dataAccess(vcpu: Vcpu): u32 {
  if (isDefined(CHECKED)) assert((vcpu.valid & GROUP_STACK_FLAGS) != 0, "emulation: flags are not valid");
  if (privilegeLevel(vcpu) == 3) return WALK_USER;
  return (vcpu.rflags & RFLAGS_AC) != 0 ? WALK_SMAP_OPEN : 0;
}

/** Real mode or virtual-8086 mode: segments are paragraphs. */
export function isRealMode(vcpu: Vcpu): bool {
  if (isDefined(CHECKED))
    assert((vcpu.valid & GROUP_CONTROL) != 0, "emulation: control registers are not valid");
  return (vcpu.cr0 & CR0_PE) == 0 || (vcpu.rflags & RFLAGS_VM) != 0;
}
