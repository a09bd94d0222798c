// What a vCPU's MSRs hold beside what the processor switches, what of them CPUID announces to the guest, and which the guest uses
// without an exit.
import { rdmsr_safe, rdtsc } from "../arch/intrinsics";
import {
  FLUSH_CMD,
  IA32_APIC_BASE,
  IA32_ARCH_CAPABILITIES,
  IA32_BIOS_SIGN_ID,
  IA32_CSTAR,
  IA32_DEBUGCTL,
  IA32_FMASK,
  IA32_FS_BASE,
  IA32_GS_BASE,
  IA32_KERNEL_GS_BASE,
  IA32_LSTAR,
  IA32_MCG_STATUS,
  IA32_STAR,
  IA32_SYSENTER_CS,
  IA32_SYSENTER_EIP,
  IA32_SYSENTER_ESP,
  IA32_TSC,
  IA32_TSC_ADJUST,
  IA32_TSC_AUX,
  PRED_CMD,
  SPEC_CTRL,
} from "../arch/msr";
import { lapicBaseAddress } from "../devices/lapic";
import { arenaAlloc } from "../lib/arena";
import { MsrStatesLink } from "../lib/links";
import { tailOf } from "../lib/tail";
import { backend } from "../vcpu/backend";
import {
  forgetMsrs,
  knowMsr,
  KNOWN_MSRS_BYTES,
  KnownMsrs,
  MSR_READ,
  MSR_WRITE_SAME,
  MSR_WRITE_ZERO,
} from "../vcpu/msrs";
import { Vcpu } from "../vcpu/vcpu";
import { guestAnnounced, guestAnnouncesMsr, guestIsAmd } from "./cpuid";
import { ANNOUNCES_AMD_EFER, ANNOUNCES_EFER } from "./features";
import { Mtrr, MTRR_BYTES, mtrrReset } from "./mtrr";
import { lapicOf } from "./platform";
import { Vm, vmOf } from "./vm";

/** What of IA32_ARCH_CAPABILITIES holds for a guest too: the "not affected" bits, IBRS_ALL, RSBA, FB_CLEAR. */
const ARCH_CAPABILITIES_OFFERED: u64 = 0x0d12e17f;

/** MISC_ENABLE: fast strings; no branch trace store, no precise event sampling. */
export const MISC_FAST_STRINGS: u64 = 1 << 0;
const MISC_BTS_UNAVAILABLE: u64 = 1 << 11;
const MISC_PEBS_UNAVAILABLE: u64 = 1 << 12;
/** The guest cannot change these. */
export const MISC_FIXED: u64 = MISC_BTS_UNAVAILABLE | MISC_PEBS_UNAVAILABLE;

/** The MSRs of one vCPU that nothing else holds. Ends in its MTRRs and its table of known MSRs. */
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

  get mtrr(): Mtrr {
    return changetype<Mtrr>(tailOf(this));
  }

  get known(): KnownMsrs {
    return changetype<KnownMsrs>(tailOf(this) + MTRR_BYTES);
  }
}

const STATE_STRIDE: usize = offsetof<MsrState>() + MTRR_BYTES + KNOWN_MSRS_BYTES;

export function stateOf(vcpu: Vcpu): MsrState {
  return changetype<MsrState>(changetype<usize>(vmOf(vcpu).msrs) + <usize>vcpu.index * STATE_STRIDE);
}

/** Storage for all vCPUs of a VM; boot time only. */
export function msrCreate(vm: Vm): void {
  vm.msrs = changetype<MsrStatesLink>(arenaAlloc(<usize>vm.cpus * STATE_STRIDE, 16));
}

/** Power-up values of one vCPU, as firmware leaves them. CPUID must have been built. */
export function msrReset(vcpu: Vcpu): void {
  const vm = vmOf(vcpu);
  const state = stateOf(vcpu);
  vcpu.msrs = state.known;
  memory.fill(changetype<usize>(state), 0, offsetof<MsrState>());
  mtrrReset(state.mtrr);
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

/** The result of RDMSR. Returns true, as who reads an MSR does when it exists. */
export function giveMsr(vcpu: Vcpu, value: u64): bool {
  vcpu.setEdxEax(value);
  return true;
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
  const known = vcpu.msrs;
  forgetMsrs(known);
  knowMsr(known, IA32_APIC_BASE, MSR_READ | MSR_WRITE_SAME, lapicBaseAddress(lapicOf(vcpu)));
  knowMsr(known, IA32_DEBUGCTL, MSR_WRITE_ZERO, changetype<usize>(vcpu) + offsetof<Vcpu>("debugctl"));
  knowMsr(known, IA32_TSC_ADJUST, MSR_READ | MSR_WRITE_SAME, at + offsetof<MsrState>("tscAdjust"));
  knowMsr(known, IA32_BIOS_SIGN_ID, MSR_READ, at + offsetof<MsrState>("biosSignId"));
  knowMsr(known, IA32_MCG_STATUS, MSR_READ | MSR_WRITE_ZERO, at + offsetof<MsrState>("mcgStatus"));
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
