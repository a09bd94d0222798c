// New values of CR0, CR3, CR4 and CR8: every rule of the manuals on what is refused with #GP, and the changes of mode that
// follow (SDM, "Control Registers", "Paging-Mode Modifications", "MOV—Move to/from Control Registers"; APM, "System-Control
// Registers" and "Activating Long Mode").
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_CET,
  CR4_LA57,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
} from "../arch/cr";
import { EFER_LMA, EFER_LME } from "../arch/msr";
import { pagingLevels } from "../mm/guestwalk";
import { change, need } from "../vcpu/backend";
import { machine } from "../vcpu/machine";
import { OUTCOME_ADVANCE } from "../vcpu/outcome";
import { raiseGp } from "../vcpu/raise";
import { GROUP_CONTROL, SEG_CS, SEGMENT_LONG } from "../vcpu/registers";
import { REQUEST_FLUSH, REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import { segmentOf } from "./emulate/emulator";
import { loadPdptes } from "../vcpu/pdptes";

/** Writes to other bits below 32 are ignored; a 1 above is refused. */
const CR0_DEFINED: u64 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Changes of these make cached translations wrong. */
const CR0_TRANSLATION: u64 = CR0_PG | CR0_WP | CR0_PE;
const CR4_TRANSLATION: u64 =
  CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_LA57;
/** Changes of these reload the page-directory-pointer entries of PAE paging. */
const CR0_RELOADS_PDPTES: u64 = CR0_PG | CR0_CD | CR0_NW;
const CR4_RELOADS_PDPTES: u64 = CR4_PGE | CR4_PSE | CR4_PAE | CR4_SMEP;
const CR3_PCID: u64 = 0xfff;
const CR3_KEEP_TRANSLATIONS: u64 = 1 << 63;
const PAE_LEVELS: u32 = 3;

export function writeCr0(vcpu: Vcpu, value: u64): u32 {
  need(vcpu, GROUP_CONTROL);
  const old = vcpu.cr0;
  if (value >> 32 != 0) return raiseGp(vcpu);
  const wanted = (value & CR0_DEFINED) | CR0_ET;
  if ((wanted & CR0_PG) != 0 && (wanted & CR0_PE) == 0) return raiseGp(vcpu);
  if ((wanted & CR0_NW) != 0 && (wanted & CR0_CD) == 0) return raiseGp(vcpu);
  if ((wanted & CR0_WP) == 0 && (vcpu.cr4 & CR4_CET) != 0) return raiseGp(vcpu);
  const changed = old ^ wanted;
  let efer = vcpu.efer;
  if ((changed & CR0_PG) != 0) {
    if (!maySwitchPaging(vcpu, (wanted & CR0_PG) != 0)) return raiseGp(vcpu);
    efer = (wanted & CR0_PG) != 0 && (efer & EFER_LME) != 0 ? efer | EFER_LMA : efer & ~EFER_LMA;
  }
  if ((changed & CR0_RELOADS_PDPTES) != 0 && !loadPdptes(vcpu, wanted, vcpu.cr3, vcpu.cr4, efer)) {
    return raiseGp(vcpu);
  }
  change(vcpu, GROUP_CONTROL);
  vcpu.cr0 = wanted;
  vcpu.efer = efer;
  if ((changed & CR0_TRANSLATION) != 0) vcpu.request(REQUEST_FLUSH);
  return OUTCOME_ADVANCE;
}

/** Whether CR0.PG may change: into long mode, out of it, or in legacy mode. */
function maySwitchPaging(vcpu: Vcpu, on: bool): bool {
  const longCode = (segmentOf(vcpu, SEG_CS).access & SEGMENT_LONG) != 0;
  if (!on) return (vcpu.cr4 & CR4_PCIDE) == 0 && !((vcpu.efer & EFER_LMA) != 0 && longCode);
  if ((vcpu.efer & EFER_LME) == 0) return true;
  return (vcpu.cr4 & CR4_PAE) != 0 && !longCode;
}

export function writeCr3(vcpu: Vcpu, value: u64): u32 {
  need(vcpu, GROUP_CONTROL);
  const levels = pagingLevels(vcpu.cr0, vcpu.cr4, vcpu.efer);
  let wanted = value;
  let keep = false;
  if ((vcpu.cr4 & CR4_PCIDE) != 0) {
    keep = (wanted & CR3_KEEP_TRANSLATIONS) != 0;
    wanted &= ~CR3_KEEP_TRANSLATIONS;
  }
  if ((vcpu.efer & EFER_LMA) != 0 && wanted >> machine().physicalBits(vcpu) != 0) return raiseGp(vcpu);
  if (levels == PAE_LEVELS && !loadPdptes(vcpu, vcpu.cr0, wanted, vcpu.cr4, vcpu.efer)) return raiseGp(vcpu);
  change(vcpu, GROUP_CONTROL);
  vcpu.cr3 = wanted;
  if (!keep) vcpu.request(REQUEST_FLUSH);
  return OUTCOME_ADVANCE;
}

export function writeCr4(vcpu: Vcpu, value: u64): u32 {
  need(vcpu, GROUP_CONTROL);
  const changed = vcpu.cr4 ^ value;
  if ((value & ~machine().cr4Mask(vcpu)) != 0 || !mayChangeCr4(vcpu, value, changed)) return raiseGp(vcpu);
  if ((changed & CR4_RELOADS_PDPTES) != 0 && !loadPdptes(vcpu, vcpu.cr0, vcpu.cr3, value, vcpu.efer)) {
    return raiseGp(vcpu);
  }
  change(vcpu, GROUP_CONTROL);
  vcpu.cr4 = value;
  if ((changed & CR4_TRANSLATION) != 0) vcpu.request(REQUEST_FLUSH);
  return OUTCOME_ADVANCE;
}

function mayChangeCr4(vcpu: Vcpu, value: u64, changed: u64): bool {
  const longMode = (vcpu.efer & EFER_LMA) != 0;
  if (longMode && ((value & CR4_PAE) == 0 || (changed & CR4_LA57) != 0)) return false;
  if ((changed & value & CR4_PCIDE) != 0 && (!longMode || (vcpu.cr3 & CR3_PCID) != 0)) return false;
  return (value & CR4_CET) == 0 || (vcpu.cr0 & CR0_WP) != 0;
}

/** The task priority, bits 3..0: kept by the local APIC. */
export function writeCr8(vcpu: Vcpu, value: u64): u32 {
  if (value > 15) return raiseGp(vcpu);
  machine().tprWrite(vcpu, <u32>value);
  vcpu.request(REQUEST_SAMPLE);
  return OUTCOME_ADVANCE;
}
