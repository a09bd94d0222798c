// Interrupts of the computer itself: when they are let in.
//
// The hypervisor runs with interrupts off. On VT-x that is RFLAGS.IF = 0. On AMD-V physical interrupts leave the guest only
// if IF is 1 at VMRUN (APM volume 2, "Virtualizing INTR"), so while guests run it is the global interrupt flag that is
// 0 and holds back NMIs too; VMRUN sets it and #VMEXIT clears it, and an exit needs no instruction for either.
import { clgi, cli, sti, sti_hlt_cli, sti_nop_cli, stgi } from "./intrinsics";

/** Whether this computer's CPUs run guests with AMD-V. */
let usesGif: bool = false;

/** Boot time: guests will be run between gateByGif and gateByIf. */
export function gateUseGif(): void {
  usesGif = true;
}

/** Holds interrupts back by GIF instead of IF, for VMRUN. */
export function gateByGif(): void {
  clgi();
  sti();
}

/** Back to IF. */
export function gateByIf(): void {
  cli();
  stgi();
}

/** While guests are run: takes the interrupts and NMIs that are pending now; their handlers have run on return. */
export function takeInterrupts(): void {
  if (usesGif) gateByIf();
  sti_nop_cli();
  if (usesGif) gateByGif();
}

/** While guests are run: waits for an interrupt; its handler has run on return. */
export function waitForInterrupt(): void {
  if (usesGif) gateByIf();
  sti_hlt_cli();
  if (usesGif) gateByGif();
}
