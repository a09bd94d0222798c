// MSRs as a guest sees them. What is not named here does not exist: #GP. Registers that only hold guest state are opened
// to direct access where the processor switches them or where one vCPU owns them (see `openMsrs`).
// Sources: SDM volume 4, "Model-Specific Registers (MSRs)"; APM volume 2, "MSR Cross-Reference".
import { nsFromTsc, tscHz } from "../arch/clock";
import { CR0_PG } from "../arch/cr";
import { rdmsr_safe, rdtsc, wrmsr_safe } from "../arch/intrinsics";
import {
  EFER_LMA,
  EFER_LME,
  IA32_APIC_BASE,
  IA32_ARCH_CAPABILITIES,
  IA32_BIOS_SIGN_ID,
  IA32_CSTAR,
  IA32_DEBUGCTL,
  IA32_EFER,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_MCG_CAP,
  IA32_MCG_STATUS,
  IA32_MISC_ENABLE,
  IA32_MTRRCAP,
  IA32_PAT,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  IA32_TSC,
  IA32_TSC_ADJUST,
  IA32_TSC_AUX,
  IA32_TSC_DEADLINE,
  FLUSH_CMD,
  PRED_CMD,
  SPEC_CTRL,
} from "../arch/msr";
import {
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from "../devices/kvmclock";
import {
  lapicBase,
  lapicBaseAddress,
  lapicMsrRead,
  lapicMsrWrite,
  lapicSetBase,
  lapicSetTscDeadline,
  lapicTscDeadline,
} from "../devices/lapic";
import { arenaAlloc } from "../lib/arena";
import { backend, change, need } from "../vcpu/backend";
import { GROUP_CONTROL, GROUP_SEGMENTS, GROUP_SYSTEM, SEG_FS, SEG_GS } from "../vcpu/registers";
import {
  forgetMsrs,
  KNOWN_MSRS_BYTES,
  knowMsr,
  MSR_READ,
  MSR_WRITE_SAME,
  MSR_WRITE_ZERO,
} from "../vcpu/msrs";
import { REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import { guestAnnounced, guestAnnouncesMsr, guestIsAmd } from "./cpuid";
import { ANNOUNCES_AMD_EFER, ANNOUNCES_EFER } from "./features";
import { refreshSystemTime, startSystemTime, systemTimeMsr, writeWallClock } from "./kvm-time";
import { fixedMsrRead, fixedMsrWrite } from "./msr-fixed";
import { MTRRCAP, Mtrr, mtrrRead, mtrrReset, mtrrWrite } from "./mtrr";
import { lapicOf } from "./platform";
import { settleLapic } from "./settle";
import { Vm, vmNow, vmOf } from "./vm";

const X2APIC_FIRST: u32 = 0x800;
const X2APIC_COUNT: u32 = 0x100;

/** MISC_ENABLE: fast strings; no branch trace store, no precise event sampling. */
const MISC_FAST_STRINGS: u64 = 1 << 0;
const MISC_BTS_UNAVAILABLE: u64 = 1 << 11;
const MISC_PEBS_UNAVAILABLE: u64 = 1 << 12;
/** All bits that some processor defines (SDM volume 4, "IA32_MISC_ENABLE"); the others are reserved. */
const MISC_DEFINED: u64 = 0xe4_01dd_3fdd;
const MISC_FIXED: u64 = MISC_BTS_UNAVAILABLE | MISC_PEBS_UNAVAILABLE;
/** What of IA32_ARCH_CAPABILITIES holds for a guest too: the "not affected" bits, IBRS_ALL, RSBA, FB_CLEAR. */
const ARCH_CAPABILITIES_OFFERED: u64 = 0x0d12e17f;
/** DEBUGCTL: last-branch records and single-step on branches; no trace messages, no freezing. */
const DEBUGCTL_OFFERED: u64 = 3;

/** The MSRs of one vCPU that nothing else holds. */
@unmanaged
class MsrState {
  tscAdjust: u64;
  mcgStatus: u64;
  biosSignId: u64;
  archCapabilities: u64;
  /** What of EFER CPUID announces. */
  eferMask: u64;
  /** CPUID announces SPEC_CTRL, PRED_CMD, FLUSH_CMD, TSC_AUX, ARCH_CAPABILITIES. */
  speculationControl: bool;
  predictorBarrier: bool;
  flushCommand: bool;
  tscAux: bool;
  hasArchCapabilities: bool;
  /** RDMSR of the TSC gives the TSC on this host, so that it need not exit. */
  tscReads: bool;
  /** The guest's vendor is AMD, or Hygon. */
  amd: bool;
}

/** What one vCPU has: its state, its MTRRs, its table of known MSRs. */
const STATE_STRIDE: usize = offsetof<MsrState>() + offsetof<Mtrr>() + KNOWN_MSRS_BYTES;

function stateOf(vcpu: Vcpu): MsrState {
  return changetype<MsrState>(vmOf(vcpu).msrs + <usize>vcpu.index * STATE_STRIDE);
}

function mtrrOf(vcpu: Vcpu): Mtrr {
  return changetype<Mtrr>(changetype<usize>(stateOf(vcpu)) + offsetof<MsrState>());
}

/** Storage for all vCPUs of a VM; boot time only. */
export function msrCreate(vm: Vm): void {
  vm.msrs = arenaAlloc(<usize>vm.cpus * STATE_STRIDE, 16);
}

/** Power-up values of one vCPU, as firmware leaves them. CPUID must have been built. */
export function msrReset(vcpu: Vcpu): void {
  const vm = vmOf(vcpu);
  const state = stateOf(vcpu);
  if (vcpu.msrs == 0) vcpu.msrs = changetype<usize>(state) + offsetof<MsrState>() + offsetof<Mtrr>();
  memory.fill(changetype<usize>(state), 0, offsetof<MsrState>());
  mtrrReset(mtrrOf(vcpu));
  state.speculationControl = guestAnnouncesMsr(vm, SPEC_CTRL);
  state.predictorBarrier = guestAnnouncesMsr(vm, PRED_CMD);
  state.flushCommand = guestAnnouncesMsr(vm, FLUSH_CMD);
  state.tscAux = guestAnnouncesMsr(vm, IA32_TSC_AUX);
  state.amd = guestIsAmd(vm);
  state.eferMask = guestAnnounced(vm, ANNOUNCES_EFER) | guestAnnounced(vm, ANNOUNCES_AMD_EFER);
  state.hasArchCapabilities = guestAnnouncesMsr(vm, IA32_ARCH_CAPABILITIES);
  if (state.hasArchCapabilities) {
    rdmsr_safe(IA32_ARCH_CAPABILITIES, changetype<usize>(state) + offsetof<MsrState>("archCapabilities"));
    state.archCapabilities &= ARCH_CAPABILITIES_OFFERED;
  }
  state.tscReads = readsTsc(changetype<usize>(state) + offsetof<MsrState>("biosSignId"));
  rdmsr_safe(IA32_BIOS_SIGN_ID, changetype<usize>(state) + offsetof<MsrState>("biosSignId"));
  vcpu.miscEnable = MISC_FAST_STRINGS | MISC_FIXED;
  vcpu.tscAux = 0;
  knowMsrs(vcpu, state);
}

/** Whether RDMSR of the TSC gives what RDTSC does: QEMU's emulator answers 0. `room`: 8 bytes. */
function readsTsc(room: usize): bool {
  const before = rdtsc();
  if (rdmsr_safe(IA32_TSC, room) == 0) return false;
  const value = load<u64>(room);
  return value >= before && value <= rdtsc();
}

/** The MSRs that are memory. */
function knowMsrs(vcpu: Vcpu, state: MsrState): void {
  const at = changetype<usize>(state);
  forgetMsrs(vcpu);
  knowMsr(vcpu, IA32_APIC_BASE, MSR_READ | MSR_WRITE_SAME, lapicBaseAddress(lapicOf(vcpu)));
  knowMsr(vcpu, IA32_DEBUGCTL, MSR_WRITE_ZERO, changetype<usize>(vcpu) + offsetof<Vcpu>("debugctl"));
  knowMsr(vcpu, IA32_TSC_ADJUST, MSR_READ | MSR_WRITE_SAME, at + offsetof<MsrState>("tscAdjust"));
  knowMsr(vcpu, IA32_BIOS_SIGN_ID, MSR_READ, at + offsetof<MsrState>("biosSignId"));
  knowMsr(vcpu, IA32_MCG_STATUS, MSR_READ | MSR_WRITE_ZERO, at + offsetof<MsrState>("mcgStatus"));
}

/** Opens the MSRs that the guest may use without an exit. */
export function openMsrs(vcpu: Vcpu): void {
  open(vcpu, IA32_FS_BASE);
  open(vcpu, IA32_GS_BASE);
  open(vcpu, IA32_KERNEL_GS_BASE);
  open(vcpu, IA32_STAR);
  open(vcpu, IA32_LSTAR);
  open(vcpu, IA32_CSTAR);
  open(vcpu, IA32_FMASK);
  open(vcpu, IA32_SYSENTER_CS);
  open(vcpu, IA32_SYSENTER_ESP);
  open(vcpu, IA32_SYSENTER_EIP);
  const state = stateOf(vcpu);
  if (state.speculationControl) open(vcpu, SPEC_CTRL);
  if (state.predictorBarrier) backend().interceptMsr(vcpu, PRED_CMD, true, false);
  if (state.flushCommand) backend().interceptMsr(vcpu, FLUSH_CMD, true, false);
  if (state.tscAux) open(vcpu, IA32_TSC_AUX);
  backend().interceptMsr(vcpu, IA32_TSC, !state.tscReads, true);
}

function open(vcpu: Vcpu, msr: u32): void {
  backend().interceptMsr(vcpu, msr, false, false);
}

// --- reading ---------------------------------------------------------------------------------------------------------------

/** RDMSR by a guest: stores the value at `result`. False: #GP(0). */
export function msrRead(vcpu: Vcpu, msr: u32, result: usize): bool {
  if (msr - X2APIC_FIRST < X2APIC_COUNT) return lapicMsrRead(lapicOf(vcpu), msr, result, vmNow(vmOf(vcpu)));
  switch (msr) {
    case IA32_TSC:
      return give(result, rdtsc() + vcpu.tscOffset);
    case IA32_APIC_BASE:
      return give(result, lapicBase(lapicOf(vcpu)));
    case IA32_TSC_ADJUST:
      return give(result, stateOf(vcpu).tscAdjust);
    case IA32_TSC_DEADLINE:
      return give(result, lapicTscDeadline(lapicOf(vcpu), vmNow(vmOf(vcpu))));
    case IA32_BIOS_SIGN_ID:
      return give(result, stateOf(vcpu).biosSignId);
    case IA32_MTRRCAP:
      return give(result, MTRRCAP);
    case IA32_MCG_STATUS:
      return give(result, stateOf(vcpu).mcgStatus);
    case IA32_EFER:
      need(vcpu, GROUP_CONTROL);
      return give(result, vcpu.efer & stateOf(vcpu).eferMask);
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
      return give(result, systemTimeMsr(vcpu));
    // Machine-check capability: no banks. The wall clock's address is not kept.
    case IA32_MCG_CAP:
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
      return give(result, 0);
    default:
      return readGuestState(vcpu, msr, result) || readVendor(vcpu, msr, result);
  }
}

function give(result: usize, value: u64): bool {
  store<u64>(result, value);
  return true;
}

/** Registers that the processor holds for the guest: they exit only on hosts where they could not be opened. */
function readGuestState(vcpu: Vcpu, msr: u32, result: usize): bool {
  switch (msr) {
    case IA32_FS_BASE:
      need(vcpu, GROUP_SEGMENTS);
      return give(result, vcpu.segment(SEG_FS).base);
    case IA32_GS_BASE:
      need(vcpu, GROUP_SEGMENTS);
      return give(result, vcpu.segment(SEG_GS).base);
    case IA32_TSC_AUX:
      store<u64>(result, vcpu.tscAux);
      return stateOf(vcpu).tscAux;
    default:
      break;
  }
  const at = systemRegister(vcpu, msr);
  if (at == 0) return mtrrRead(mtrrOf(vcpu), msr, result);
  need(vcpu, GROUP_SYSTEM);
  return give(result, load<u64>(at));
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

/** What only one vendor's processors have, and speculation controls, which both have by CPUID. */
function readVendor(vcpu: Vcpu, msr: u32, result: usize): bool {
  const state = stateOf(vcpu);
  if (msr == SPEC_CTRL) return state.speculationControl && rdmsr_safe(msr, result) != 0;
  if (msr == IA32_ARCH_CAPABILITIES) {
    store<u64>(result, state.archCapabilities);
    return state.hasArchCapabilities;
  }
  if (msr == IA32_MISC_ENABLE && !state.amd) return give(result, vcpu.miscEnable);
  return fixedMsrRead(msr, state.amd, result);
}

// --- writing ---------------------------------------------------------------------------------------------------------------

/** WRMSR by a guest. False: #GP(0). */
export function msrWrite(vcpu: Vcpu, msr: u32, value: u64): bool {
  if (msr - X2APIC_FIRST < X2APIC_COUNT) return writeX2apic(vcpu, msr, value);
  switch (msr) {
    case IA32_TSC_DEADLINE:
      return writeDeadline(vcpu, value);
    case IA32_TSC:
      return shiftTsc(vcpu, value - (rdtsc() + vcpu.tscOffset));
    case IA32_TSC_ADJUST:
      return shiftTsc(vcpu, value - stateOf(vcpu).tscAdjust);
    case IA32_APIC_BASE:
      if (value >> vmOf(vcpu).physicalBits != 0) return false;
      vcpu.request(REQUEST_SAMPLE);
      return lapicSetBase(lapicOf(vcpu), value);
    case IA32_EFER:
      return writeEfer(vcpu, value);
    case IA32_MCG_STATUS:
      if (value != 0) return false;
      stateOf(vcpu).mcgStatus = 0;
      return true;
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
      return startSystemTime(vcpu, value);
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
      return writeWallClock(vcpu, value);
    // Microcode is not the guest's to load: it is told, by the revision, that nothing happened.
    case IA32_BIOS_SIGN_ID:
      return true;
    default:
      return writeGuestState(vcpu, msr, value) || writeVendor(vcpu, msr, value);
  }
}

function writeX2apic(vcpu: Vcpu, msr: u32, value: u64): bool {
  const l = lapicOf(vcpu);
  const good = lapicMsrWrite(l, msr, value, vmNow(vmOf(vcpu)));
  settleLapic(vcpu, l);
  return good;
}

function writeDeadline(vcpu: Vcpu, value: u64): bool {
  const host = rdtsc();
  const l = lapicOf(vcpu);
  const now = nsFromTsc(host - vmOf(vcpu).startTsc);
  lapicSetTscDeadline(l, value, host + vcpu.tscOffset, tscHz(), now);
  settleLapic(vcpu, l);
  return true;
}

/** Moves the guest's TSC by `delta` ticks; a deadline stays the same TSC value, which is another time now. */
function shiftTsc(vcpu: Vcpu, delta: u64): bool {
  const deadline = lapicTscDeadline(lapicOf(vcpu), vmNow(vmOf(vcpu)));
  stateOf(vcpu).tscAdjust += delta;
  vcpu.tscOffset += delta;
  backend().updateTscOffset(vcpu);
  refreshSystemTime(vcpu);
  return deadline == 0 || writeDeadline(vcpu, deadline);
}

/** Reserved bits, and a change of LME while paging is on, are refused; LMA is the processor's own. */
function writeEfer(vcpu: Vcpu, value: u64): bool {
  if ((value & ~stateOf(vcpu).eferMask) != 0) return false;
  need(vcpu, GROUP_CONTROL);
  const paging = (vcpu.cr0 & CR0_PG) != 0;
  if (paging && ((value ^ vcpu.efer) & EFER_LME) != 0) return false;
  change(vcpu, GROUP_CONTROL);
  vcpu.efer = (value & ~EFER_LMA) | (vcpu.efer & ~stateOf(vcpu).eferMask);
  if (paging && (value & EFER_LME) != 0) vcpu.efer |= EFER_LMA;
  return true;
}

function writeGuestState(vcpu: Vcpu, msr: u32, value: u64): bool {
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
  if (at == 0) return mtrrWrite(mtrrOf(vcpu), msr, value);
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

function writeVendor(vcpu: Vcpu, msr: u32, value: u64): bool {
  const state = stateOf(vcpu);
  switch (msr) {
    case SPEC_CTRL:
      return state.speculationControl && wrmsr_safe(msr, value) != 0;
    case PRED_CMD:
      return state.predictorBarrier && wrmsr_safe(msr, value) != 0;
    case FLUSH_CMD:
      return state.flushCommand && wrmsr_safe(msr, value) != 0;
    default:
      break;
  }
  if (msr == IA32_MISC_ENABLE && !state.amd) return writeMiscEnable(vcpu, value);
  return fixedMsrWrite(msr, state.amd, value);
}

/** Of what processors define here a guest has fast strings; the rest is without function and stays as it is. */
function writeMiscEnable(vcpu: Vcpu, value: u64): bool {
  if ((value & ~MISC_DEFINED) != 0) return false;
  vcpu.miscEnable = (value & MISC_FAST_STRINGS) | MISC_FIXED;
  return true;
}
