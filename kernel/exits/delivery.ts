// An event whose delivery met what is not RAM: the IDT, a descriptor table, the TSS, the stack, or the page tables on the way
// to them. What is not RAM reads as ones, and ones are no gate: #GP with the gate's selector; entries of ones on the
// way are #PF with the reserved bit. The run loop combines that with the event (kernel/vcpu/reinject.ts), so that a guest whose
// IDT is gone ends by #DF in a triple fault, as on a computer.
//
// A stack outside RAM is taken for the same: a computer would lose what it pushes, and the handler's IRET would fault.
import { CR0_PE } from "../arch/cr";
import { EFER_LMA } from "../arch/msr";
import { WALK_READ, WALK_WRITE } from "../mm/guestwalk";
import { need } from "../vcpu/backend";
import { ACCESS_GVA_VALID, ACCESS_PAGE_WALK } from "../vcpu/exit";
import { raiseWithError, VECTOR_GP } from "../vcpu/raise";
import { GROUP_TABLES, SEG_SS } from "../vcpu/registers";
import { EVENT_SOFT_EXCEPTION, EVENT_SOFT_INTERRUPT, EVENT_TYPE_MASK, Vcpu } from "../vcpu/vcpu";
import { Emulator, segmentOf, startEmulator } from "./emulate/emulator";
import { locateLinear } from "./emulate/linear";

/** Error code of an exception that a gate caused: EXT (the event was no INT n), IDT (it is the index of a gate). */
const ERROR_EXT: u32 = 1 << 0;
const ERROR_IDT: u32 = 1 << 1;
const ERROR_INDEX_SHIFT: u32 = 3;

/** The exception that the delivery of `exit.interruptedEvent` ends in. */
export function failDelivery(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  if ((exit.flags & ACCESS_PAGE_WALK) != 0) {
    const e = startEmulator(vcpu);
    if (!walkDelivery(e)) return e.outcome;
  }
  const vector = exit.interruptedEvent & 0xff;
  return raiseWithError(vcpu, VECTOR_GP, (vector << ERROR_INDEX_SHIFT) | ERROR_IDT | externalBit(vcpu));
}

function externalBit(vcpu: Vcpu): u32 {
  const type = vcpu.exit.interruptedEvent & EVENT_TYPE_MASK;
  return type == EVENT_SOFT_INTERRUPT || type == EVENT_SOFT_EXCEPTION ? 0 : ERROR_EXT;
}

/**
 * Walks to what the delivery accesses: at the address that the processor reported, else to the gate and to the stack. False:
 * there was the fault, and #PF is pending.
 */
function walkDelivery(e: Emulator): bool {
  const vcpu = e.vcpu;
  const exit = vcpu.exit;
  // The record says how the entry was accessed, not for what.
  if ((exit.flags & ACCESS_GVA_VALID) != 0) return locateLinear(e, e.source, exit.gva, 1, WALK_READ);
  need(vcpu, GROUP_TABLES);
  const gate = vcpu.idtrBase + (exit.interruptedEvent & 0xff) * gateBytes(vcpu);
  if (!locateLinear(e, e.source, gate, 1, WALK_READ)) return false;
  const stack = (vcpu.efer & EFER_LMA) != 0 ? 0 : segmentOf(vcpu, SEG_SS).base;
  return locateLinear(e, e.source, stack + vcpu.rsp - 1, 1, WALK_WRITE);
}

function gateBytes(vcpu: Vcpu): u32 {
  if ((vcpu.efer & EFER_LMA) != 0) return 16;
  return (vcpu.cr0 & CR0_PE) != 0 ? 8 : 4;
}
