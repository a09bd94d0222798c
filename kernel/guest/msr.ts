// MSRs as a guest sees them, by number: who answers for each. What is not named here does not exist: #GP. Registers that only
// hold guest state are opened to direct access where the processor switches them or where one vCPU owns them (`openMsrs`).
// Sources: SDM volume 4, "Model-Specific Registers (MSRs)"; APM volume 2, "MSR Cross-Reference".
import { nsFromTsc, tscHz } from "../arch/clock";
import { rdtsc } from "../arch/intrinsics";
import {
  IA32_APIC_BASE,
  IA32_BIOS_SIGN_ID,
  IA32_EFER,
  IA32_MCG_CAP,
  IA32_MCG_STATUS,
  IA32_MTRRCAP,
  IA32_TSC,
  IA32_TSC_ADJUST,
  IA32_TSC_DEADLINE,
} from "../arch/msr";
import {
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from "../devices/kvmclock";
import {
  lapicBase,
  lapicHasMsr,
  lapicMsrRead,
  lapicMsrWrite,
  lapicSetBase,
  lapicSetTscDeadline,
  lapicTscDeadline,
} from "../devices/lapic";
import { backend, need } from "../vcpu/backend";
import { GROUP_CONTROL } from "../vcpu/registers";
import { REQUEST_SAMPLE, Vcpu } from "../vcpu/vcpu";
import { refreshSystemTime, startSystemTime, systemTimeMsr, writeWallClock } from "./kvm-time";
import { readGuestState, writeEfer, writeGuestState } from "./msr-registers";
import { giveMsr, stateOf } from "./msr-state";
import { readVendor, writeVendor } from "./msr-vendor";
import { MTRRCAP } from "./mtrr";
import { lapicOf } from "./platform";
import { settleLapic } from "./settle";
import { vmNow, vmOf } from "./vm";

const X2APIC_FIRST: u32 = 0x800;
const X2APIC_COUNT: u32 = 0x100;

// --- reading ---------------------------------------------------------------------------------------------------------------

/** RDMSR by a guest: puts the value into EDX:EAX. False: #GP(0). */
export function msrRead(vcpu: Vcpu, msr: u32): bool {
  if (msr - X2APIC_FIRST < X2APIC_COUNT) return readX2apic(vcpu, msr);
  switch (msr) {
    case IA32_TSC:
      return giveMsr(vcpu, rdtsc() + vcpu.tscOffset);
    case IA32_APIC_BASE:
      return giveMsr(vcpu, lapicBase(lapicOf(vcpu)));
    case IA32_TSC_ADJUST:
      return giveMsr(vcpu, stateOf(vcpu).tscAdjust);
    case IA32_TSC_DEADLINE:
      return giveMsr(vcpu, lapicTscDeadline(lapicOf(vcpu), vmNow(vmOf(vcpu))));
    case IA32_BIOS_SIGN_ID:
      return giveMsr(vcpu, stateOf(vcpu).biosSignId);
    case IA32_MTRRCAP:
      return giveMsr(vcpu, MTRRCAP);
    case IA32_MCG_STATUS:
      return giveMsr(vcpu, stateOf(vcpu).mcgStatus);
    case IA32_EFER:
      need(vcpu, GROUP_CONTROL);
      return giveMsr(vcpu, vcpu.efer & stateOf(vcpu).eferMask);
    case MSR_KVM_SYSTEM_TIME:
    case MSR_KVM_SYSTEM_TIME_NEW:
      return giveMsr(vcpu, systemTimeMsr(vcpu));
    // Machine-check capability: no banks. The wall clock's address is not kept.
    case IA32_MCG_CAP:
    case MSR_KVM_WALL_CLOCK:
    case MSR_KVM_WALL_CLOCK_NEW:
      return giveMsr(vcpu, 0);
    default:
      return readGuestState(vcpu, msr) || readVendor(vcpu, msr);
  }
}

function readX2apic(vcpu: Vcpu, msr: u32): bool {
  const l = lapicOf(vcpu);
  return lapicHasMsr(l, msr) && giveMsr(vcpu, lapicMsrRead(l, msr, vmNow(vmOf(vcpu))));
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
