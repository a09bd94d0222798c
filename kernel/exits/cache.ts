// INVD, WBINVD and INVLPG.
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { raiseGp } from "../vcpu/raise";
import { REQUEST_FLUSH, Vcpu } from "../vcpu/vcpu";
import { isPrivileged } from "./privilege";

/**
 * Guest memory is write-back RAM that every agent reaches through coherent caches, so there is nothing to write back; and
 * to throw away dirty lines, as INVD does, would lose writes of the host: nothing is done for either.
 */
export function handleCacheFlush(vcpu: Vcpu): u32 {
  return isPrivileged(vcpu) ? OUTCOME_ADVANCE : raiseGp(vcpu);
}

/** Dropping all translations of the vCPU is more than was asked for, and always allowed (SDM, "Invalidation of TLBs"). */
export function handleInvlpg(vcpu: Vcpu): u32 {
  if (!isPrivileged(vcpu)) return raiseGp(vcpu);
  vcpu.request(REQUEST_FLUSH);
  return OUTCOME_ADVANCE;
}
