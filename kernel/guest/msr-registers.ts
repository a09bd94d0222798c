// MSRs that are the guest's registers: EFER, segment bases, and what SYSENTER, SYSCALL, paging and debugging use, with the checks
// that the processor makes of what is written (SDM volume 4, "Architectural MSRs"; APM volume 2, "Model-Specific Registers").
import { CR0_PG } from "../arch/cr";
import { wrmsr_safe } from "../arch/intrinsics";
import {
  EFER_LMA,
  EFER_LME,
  IA32_CSTAR,
  IA32_DEBUGCTL,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_PAT,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  IA32_TSC_AUX,
} from "../arch/msr";
import { change, need } from "../vcpu/backend";
import { GROUP_CONTROL, GROUP_SEGMENTS, GROUP_SYSTEM, SEG_FS, SEG_GS } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { giveMsr, stateOf } from "./msr-state";
import { mtrrAt, mtrrWrite } from "./mtrr";

/** DEBUGCTL: last-branch records and single-step on branches; no trace messages, no freezing. */
const DEBUGCTL_OFFERED: u64 = 3;

/** Registers that the processor holds for the guest: they exit only on hosts where they could not be opened. */
export function readGuestState(vcpu: Vcpu, msr: u32): bool {
  switch (msr) {
    case IA32_FS_BASE:
      need(vcpu, GROUP_SEGMENTS);
      return giveMsr(vcpu, vcpu.segment(SEG_FS).base);
    case IA32_GS_BASE:
      need(vcpu, GROUP_SEGMENTS);
      return giveMsr(vcpu, vcpu.segment(SEG_GS).base);
    case IA32_TSC_AUX:
      return stateOf(vcpu).tscAux && giveMsr(vcpu, vcpu.tscAux);
    default:
      break;
  }
  const at = systemRegister(vcpu, msr);
  if (at == 0) return readMtrr(vcpu, msr);
  need(vcpu, GROUP_SYSTEM);
  return giveMsr(vcpu, load<u64>(at));
}

function readMtrr(vcpu: Vcpu, msr: u32): bool {
  const at = mtrrAt(stateOf(vcpu).mtrr, msr);
  return at != 0 && giveMsr(vcpu, load<u64>(at));
}

/** Linear address of a register of GROUP_SYSTEM in the vCPU; 0: not one of them. */
function systemRegister(vcpu: Vcpu, msr: u32): usize {
  const base = changetype<usize>(vcpu);
  switch (msr) {
    case IA32_PAT:
      return base + offsetof<Vcpu>("pat");
    case IA32_SYSENTER_CS:
      return base + offsetof<Vcpu>("sysenterCs");
    case IA32_SYSENTER_ESP:
      return base + offsetof<Vcpu>("sysenterEsp");
    case IA32_SYSENTER_EIP:
      return base + offsetof<Vcpu>("sysenterEip");
    case IA32_STAR:
      return base + offsetof<Vcpu>("star");
    case IA32_LSTAR:
      return base + offsetof<Vcpu>("lstar");
    case IA32_CSTAR:
      return base + offsetof<Vcpu>("cstar");
    case IA32_FMASK:
      return base + offsetof<Vcpu>("fmask");
    case IA32_KERNEL_GS_BASE:
      return base + offsetof<Vcpu>("kernelGsBase");
    case IA32_DEBUGCTL:
      return base + offsetof<Vcpu>("debugctl");
    default:
      return 0;
  }
}

/** Reserved bits, and a change of LME while paging is on, are refused; LMA is the processor's own. */
export function writeEfer(vcpu: Vcpu, value: u64): bool {
  if ((value & ~stateOf(vcpu).eferMask) != 0) return false;
  need(vcpu, GROUP_CONTROL);
  const paging = (vcpu.cr0 & CR0_PG) != 0;
  if (paging && ((value ^ vcpu.efer) & EFER_LME) != 0) return false;
  change(vcpu, GROUP_CONTROL);
  vcpu.efer = (value & ~EFER_LMA) | (vcpu.efer & ~stateOf(vcpu).eferMask);
  if (paging && (value & EFER_LME) != 0) vcpu.efer |= EFER_LMA;
  return true;
}

export function writeGuestState(vcpu: Vcpu, msr: u32, value: u64): bool {
  switch (msr) {
    case IA32_FS_BASE:
    case IA32_GS_BASE:
      if (!isCanonical(value)) return false;
      change(vcpu, GROUP_SEGMENTS);
      vcpu.segment(msr == IA32_FS_BASE ? SEG_FS : SEG_GS).base = value;
      return true;
    case IA32_TSC_AUX:
      if (value >> 32 != 0 || !stateOf(vcpu).tscAux) return false;
      vcpu.tscAux = value;
      return wrmsr_safe(IA32_TSC_AUX, value) != 0;
    case IA32_DEBUGCTL:
      // The processor only ever clears its bits, so that a zero stays one without a look.
      if (value == 0 && vcpu.debugctl == 0) return true;
      break;
    default:
      break;
  }
  const at = systemRegister(vcpu, msr);
  if (at == 0) return mtrrWrite(stateOf(vcpu).mtrr, msr, value);
  if (!isSystemValue(msr, value)) return false;
  need(vcpu, GROUP_SYSTEM);
  if (load<u64>(at) == value) return true;
  change(vcpu, GROUP_SYSTEM);
  store<u64>(at, value);
  return true;
}

/** The checks that the processor makes on a register of GROUP_SYSTEM. */
function isSystemValue(msr: u32, value: u64): bool {
  switch (msr) {
    case IA32_PAT:
      return isPat(value);
    case IA32_DEBUGCTL:
      return (value & ~DEBUGCTL_OFFERED) == 0;
    case IA32_LSTAR:
    case IA32_CSTAR:
    case IA32_KERNEL_GS_BASE:
    case IA32_SYSENTER_ESP:
    case IA32_SYSENTER_EIP:
      return isCanonical(value);
    case IA32_FMASK:
    case IA32_SYSENTER_CS:
      return value >> 32 == 0;
    default:
      return true;
  }
}

/** Bits 63..47 alike. */
function isCanonical(address: u64): bool {
  return <u64>(((<i64>address) << 16) >> 16) == address;
}

/** Every byte UC, WC, WT, WP, WB or UC-. */
function isPat(value: u64): bool {
  for (let shift: u64 = 0; shift < 64; shift += 8) {
    const type = (value >> shift) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}
