// INVD, WBINVD and INVLPG.
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { REQUEST_FLUSH, Vcpu } from "../vcpu/vcpu";

/**
 * Guest memory is write-back RAM that every agent reaches through coherent caches, so there is nothing to write back; and
 * to throw away dirty lines, as INVD does, would lose writes of the host: nothing is done for either.
 */
export function handleCacheFlush(_vcpu: Vcpu): u32 {
  return OUTCOME_ADVANCE;
}

/** Dropping all translations of the vCPU is more than was asked for, and always allowed (SDM, "Invalidation of TLBs"). */
export function handleInvlpg(vcpu: Vcpu): u32 {
  vcpu.request(REQUEST_FLUSH);
  return OUTCOME_ADVANCE;
}
