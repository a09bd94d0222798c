// The interface that a virtualization backend (kernel/vmx, kernel/svm) implements: one table of functions, installed once
// at boot by kernel/main.ts. AssemblyScript's function references are indices into the module's table: no closures.
import { GuestWalk } from "../mm/guestwalk";
import { Vcpu } from "./vcpu";
import { GROUP_PDPTES, GROUP_SINGLE_SEGMENTS } from "./registers";

@unmanaged
export class Backend {
  /** "VT-x" or "AMD-V", for people. */
  name: string;
  /** Enables virtualization on this CPU. Returns null, or what is missing and what to do, for people. */
  enableCpu: () => string | null;
  /** Gives the vCPU its control structure (VMCS, VMCB) in the state of power-up reset. Boot and reset time only. */
  createVcpu: (vcpu: Vcpu, nestedRoot: u64) => void;
  resetVcpu: (vcpu: Vcpu) => void;
  /** Makes this CPU the one that runs the vCPU (VMPTRLD; host state). */
  loadVcpu: (vcpu: Vcpu) => void;
  /**
   * Again and again, until `prepare` returns false: `prepare` if there are requests; writes back dirty groups and `event`,
   * enters, and after the exit fills `vcpu.exit`, `valid` being only what was read; `onExit`.
   */
  run: (vcpu: Vcpu, prepare: (vcpu: Vcpu) => bool, onExit: (vcpu: Vcpu) => void) => void;
  /** Fills the fields of `vcpu.exit` that only a trace shows. */
  completeRecord: (vcpu: Vcpu) => void;
  /** Sets up a walk of the guest's page tables to fetch the instruction at `vcpu.exit.rip`. Returns its linear address. */
  codeWalk: (vcpu: Vcpu, walk: GuestWalk) => u64;
  /**
   * The last exit, a nested page fault, was that of a MOV of `length` bytes which has now been carried out, and `move` (MOVE_*)
   * says all of it; `value`: what it writes, if that is an immediate. The same MOV may next time come with `exit.move`.
   */
  rememberMove: (vcpu: Vcpu, move: u32, value: u32, length: u32) => void;
  /** Copies groups (GROUP_*) of guest state that are not valid yet into the vCPU. Callers use `need()`. */
  loadState: (vcpu: Vcpu, groups: u32) => void;
  /**
   * Called before an entry that delivers `event` or for which windows may have changed.
   * Asks for, or gives up, an exit when the guest becomes able to take an interrupt or NMI, as `interruptWindow`/`nmiWindow` say.
   */
  updateWindows: (vcpu: Vcpu) => void;
  /** 1: `setDeadline` makes the guest exit by itself (VMX-preemption timer). 0: the run loop arms this CPU's timer instead. */
  hasDeadlineTimer: u32;
  /** Lets the guest run until host TSC `tsc` at the latest; U64.MAX_VALUE: no limit. */
  setDeadline: (vcpu: Vcpu, tsc: u64) => void;
  /** Takes effect at the next entry: `vcpu.tscOffset` changed. */
  updateTscOffset: (vcpu: Vcpu) => void;
  /** Drops the guest's cached translations, nested ones too. */
  flush: (vcpu: Vcpu) => void;
  /** Opens (intercept = false) or closes direct access of the guest to an MSR. */
  interceptMsr: (vcpu: Vcpu, msr: u32, read: bool, write: bool) => void;
  /** The exit reason's name as the manual (and Linux's kvm_exit) spells it. */
  reasonName: (reason: u32) => string;
  /** Logs the whole control structure, decoded, at level `warn`. */
  dump: (vcpu: Vcpu) => void;
  /** After EXIT_ENTRY_FAILURE: logs every rule of the manual that the guest state breaks. */
  explainEntryFailure: (vcpu: Vcpu) => void;
}

const storage = memory.data(offsetof<Backend>(), 16);

/** The machine's backend. */
export function backend(): Backend {
  return changetype<Backend>(storage);
}

/** Makes groups of guest state readable: a no-op for those already valid. */
export function need(vcpu: Vcpu, groups: u32): void {
  if (isDefined(CHECKED)) assert(groups >> 16 == 0, "backend: no such group");
  const missing = groups & ~vcpu.valid;
  if (missing != 0) backend().loadState(vcpu, missing);
  // AMD-V keeps no PDPTEs.
  if (isDefined(CHECKED))
    assert((groups & ~(vcpu.valid | GROUP_PDPTES)) == 0, "backend: what was asked for is not valid");
}

/** The same, and marks them to be written back at the next entry. */
export function change(vcpu: Vcpu, groups: u32): void {
  if (isDefined(CHECKED))
    assert((groups & GROUP_SINGLE_SEGMENTS) == 0, "backend: a single segment is to read only");
  need(vcpu, groups);
  if (isDefined(CHECKED)) assert((vcpu.dirty & groups & ~vcpu.valid) == 0, "backend: dirty but not valid");
  vcpu.dirty |= groups;
}
