// Whether the guest may access a port (SDM, "I/O Privilege Level" and "I/O Permission Bit Map"). The processor has checked it for
// an instruction that exits for its port. INS and OUTS that are met otherwise, since the guest's code has changed meanwhile or
// does not lie in RAM, are checked here.
//
//   the task-state segment:  102 offset of the map … map, one bit a port; set: #GP
import { CR0_PE, RFLAGS_VM } from "../../arch/cr";
import { WALK_READ } from "../../mm/guestwalk";
import { VECTOR_GP } from "../../vcpu/raise";
import { SEG_TR, Segment } from "../../vcpu/registers";
import { Emulator, ioPrivilege, privilegeLevel, segmentOf } from "./emulator";
import { failWith, locateLinear, readOperand } from "./linear";
import { isPortSize } from "../../lib/sizes";

const MAP_OFFSET_AT: u32 = 102;
/** Least limit of a TSS with a map, and bit 3 of its type: it has the 32-bit or the 64-bit form. */
const LEAST_LIMIT: u32 = 103;
const TYPE_32: u32 = 8;

/** False, with the exception pending: the guest may not access `size` ports from `port` on. */
export function mayUsePort(e: Emulator, port: u32, size: u32): bool {
  assert(port <= 0xffff && isPortSize(size), "ports: port");
  const vcpu = e.vcpu;
  if ((vcpu.cr0 & CR0_PE) == 0) return true;
  if ((vcpu.rflags & RFLAGS_VM) == 0 && privilegeLevel(vcpu) <= ioPrivilege(vcpu)) return true;
  const tss = segmentOf(vcpu, SEG_TR);
  if ((tss.access & TYPE_32) == 0 || tss.limit < LEAST_LIMIT) return failWith(e, VECTOR_GP, 0);
  if (!readWord(e, tss, MAP_OFFSET_AT)) return false;
  // Two bytes are read always: the ports may be those of two.
  const at = <u32>e.value + (port >> 3);
  if (at + 1 > tss.limit) return failWith(e, VECTOR_GP, 0);
  if (!readWord(e, tss, at)) return false;
  const closed = (<u32>e.value >> (port & 7)) & ((1 << size) - 1);
  return closed == 0 || failWith(e, VECTOR_GP, 0);
}

/** Two bytes of the TSS into `e.value`, read as the processor does: not as the user. */
function readWord(e: Emulator, tss: Segment, offset: u32): bool {
  assert(offset <= 0x1_2000, "ports: outside of a TSS");
  if (!locateLinear(e, e.source, tss.base + offset, 2, WALK_READ)) return false;
  e.value = readOperand(e, e.source);
  return true;
}
