// Interrupts of the computer itself: when they are let in.
//
// The hypervisor runs with interrupts off. On VT-x that is RFLAGS.IF = 0. On AMD-V physical interrupts leave the guest only
// if IF is 1 at VMRUN (APM volume 2, "Virtualizing INTR"), so while guests run it is the global interrupt flag that is
// 0 and holds back NMIs too; VMRUN sets it and #VMEXIT clears it, and an exit needs no instruction for either.
import { clgi, cli, sti, sti_hlt_cli, sti_nop_cli, stgi } from "./intrinsics";

let heldByGif: bool = false;

/** Holds interrupts back by GIF instead of IF, for VMRUN. */
export function gateByGif(): void {
  clgi();
  sti();
  heldByGif = true;
}

/** Back to IF. */
export function gateByIf(): void {
  heldByGif = false;
  cli();
  stgi();
}

/** Takes the interrupts and NMIs that are pending now; their handlers have run on return. */
export function takeInterrupts(): void {
  const gif = heldByGif;
  if (gif) gateByIf();
  sti_nop_cli();
  if (gif) gateByGif();
}

/** Waits for an interrupt; its handler has run on return. */
export function waitForInterrupt(): void {
  const gif = heldByGif;
  if (gif) gateByIf();
  sti_hlt_cli();
  if (gif) gateByGif();
}
