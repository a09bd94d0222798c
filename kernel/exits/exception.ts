// Exceptions of the guest that the backend intercepts, so that no endless chain of them can hold the processor (#DB and
// #AC raised by their own delivery): each goes on to the guest as it was.
import { change } from "../vcpu/backend";
import { ACCESS_GVA_VALID } from "../vcpu/exit";
import { raiseDebug } from "../vcpu/debug";
import { raise, raiseWithError, VECTOR_AC, VECTOR_DB, VECTOR_DF, VECTOR_PF, VECTOR_TS } from "../vcpu/raise";
import { GROUP_SYSTEM } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";

/** Vectors 10 to 14 (#TS, #NP, #SS, #GP, #PF), 8, 17, 21, 29 and 30 push an error code (SDM, "Error Code"). */
const VECTORS_WITH_ERROR: u32 =
  (1 << VECTOR_DF) | (0x1f << VECTOR_TS) | (1 << VECTOR_AC) | (1 << 21) | (1 << 29) | (1 << 30);

export function handleException(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  const vector = exit.vector & 31;
  if (vector == VECTOR_PF && (exit.flags & ACCESS_GVA_VALID) != 0) {
    change(vcpu, GROUP_SYSTEM);
    vcpu.cr2 = exit.gva;
  }
  if (vector == VECTOR_DB && exit.met != 0) return raiseDebug(vcpu, exit.met);
  if (((VECTORS_WITH_ERROR >> vector) & 1) != 0) return raiseWithError(vcpu, vector, exit.errorCode);
  return raise(vcpu, vector);
}
