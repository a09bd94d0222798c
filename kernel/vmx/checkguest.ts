// Rules that VM entry checks about the guest-state area, except segments (SDM volume 3, "Checks on the Guest State Area":
// control registers, debug registers, and MSRs; descriptor-table registers; RIP, RFLAGS, and SSP; non-register state;
// page-directory-pointer-table entries).
import { physicalAddressBits } from "../arch/cpuid";
import { CR0_PE, CR0_PG, CR4_PAE, CR4_PCIDE } from "../arch/cr";
import { RFLAGS_IF, RFLAGS_RESERVED_ONE, RFLAGS_TF, RFLAGS_VM } from "../arch/cr";
import { rdmsr, vmread } from "../arch/intrinsics";
import { EFER_LMA, EFER_LME } from "../arch/msr";
import {
  IA32_VMX_CR0_FIXED0,
  IA32_VMX_CR0_FIXED1,
  IA32_VMX_CR4_FIXED0,
  IA32_VMX_CR4_FIXED1,
} from "../arch/msr";
import { SEGMENT_LONG } from "../vcpu/registers";
import { EVENT_EXTERNAL, EVENT_NMI, EVENT_TYPE_MASK, EVENT_VALID } from "../vcpu/vcpu";
import { ENTRYC_IA32E_GUEST, ENTRYC_LOAD_EFER, ENTRYC_LOAD_PAT, PIN_VIRTUAL_NMIS } from "./controls";
import { SECONDARY_UNRESTRICTED_GUEST } from "./controls";
import {
  ENTRY_CONTROLS,
  ENTRY_INTERRUPTION_INFO,
  GUEST_ACTIVITY,
  GUEST_CR0,
  GUEST_CR3,
  GUEST_CR4,
  GUEST_CS_ACCESS,
  GUEST_DEBUGCTL,
  GUEST_DR7,
  GUEST_EFER,
  GUEST_GDTR_BASE,
  GUEST_GDTR_LIMIT,
  GUEST_IDTR_BASE,
  GUEST_IDTR_LIMIT,
  GUEST_INTERRUPTIBILITY,
  GUEST_PAT,
  GUEST_PDPTE0,
  GUEST_PENDING_DEBUG,
  GUEST_RFLAGS,
  GUEST_RIP,
  GUEST_SYSENTER_EIP,
  GUEST_SYSENTER_ESP,
  PIN_CONTROLS,
  SECONDARY_CONTROLS,
  VMCS_LINK_POINTER,
} from "./fields";
import { isCanonical, validEfer, validPat } from "./validity";
import { rule } from "../vcpu/violations";

const RFLAGS_RESERVED: u64 = 0xffff_ffff_ffc0_8028;
/** IA32_DEBUGCTL: LBR, BTF, and what the manual defines in bits 15..6; bits 5..2 depend on the CPU and are taken as given. */
const DEBUGCTL_RESERVED: u64 = 0xffff_ffff_ffff_0000;
const DEBUGCTL_BTF: u64 = 1 << 1;

const BLOCKING_BY_STI: u64 = 1 << 0;
const BLOCKING_BY_MOV_SS: u64 = 1 << 1;
const BLOCKING_BY_SMI: u64 = 1 << 2;
const BLOCKING_BY_NMI: u64 = 1 << 3;
const ENCLAVE_INTERRUPTION: u64 = 1 << 4;

const ACTIVITY_HLT: u64 = 1;
const ACTIVITY_WAIT_FOR_SIPI: u64 = 3;

const PENDING_BS: u64 = 1 << 14;
/** Pending debug exceptions: B3..B0, BLD (11), enabled breakpoint (12), BS (14), RTM (16). */
const PENDING_DEFINED: u64 = 0x1580f;

const PDPTE_PRESENT: u64 = 1 << 0;
/** Bits 2..1 and 8..5 of a page-directory-pointer-table entry. */
const PDPTE_RESERVED: u64 = 0x1e6;

/** Bits that VMX operation fixes to 1; PE and PG may be 0 for an unrestricted guest. */
function requiredCr0(): u64 {
  const fixed = rdmsr(IA32_VMX_CR0_FIXED0);
  return (vmread(SECONDARY_CONTROLS) & SECONDARY_UNRESTRICTED_GUEST) != 0
    ? fixed & ~(CR0_PE | CR0_PG)
    : fixed;
}

function checkControlRegisters(longMode: bool): void {
  const cr0 = vmread(GUEST_CR0);
  const cr4 = vmread(GUEST_CR4);
  const width = <u64>physicalAddressBits();
  rule(
    (requiredCr0() & ~cr0) == 0,
    "guest CR0: bits fixed to 1 are 1 (NE; PE and PG without unrestricted guest)",
  );
  rule((cr0 & ~rdmsr(IA32_VMX_CR0_FIXED1)) == 0, "guest CR0: bits fixed to 0 are 0");
  rule((cr0 & CR0_PG) == 0 || (cr0 & CR0_PE) != 0, "guest CR0: PG needs PE");
  rule((rdmsr(IA32_VMX_CR4_FIXED0) & ~cr4) == 0, "guest CR4: bits fixed to 1 are 1 (VMXE)");
  rule((cr4 & ~rdmsr(IA32_VMX_CR4_FIXED1)) == 0, "guest CR4: bits fixed to 0 are 0");
  rule(!longMode || (cr0 & CR0_PG) != 0, "a 64-bit (IA-32e) guest has CR0.PG = 1");
  rule(!longMode || (cr4 & CR4_PAE) != 0, "a 64-bit (IA-32e) guest has CR4.PAE = 1");
  rule(longMode || (cr4 & CR4_PCIDE) == 0, "guest CR4.PCIDE is 1 only in IA-32e mode");
  rule(vmread(GUEST_CR3) >> width == 0, "guest CR3 is within the physical-address width");
}

function checkMsrs(longMode: bool, entry: u64): void {
  rule((vmread(GUEST_DEBUGCTL) & DEBUGCTL_RESERVED) == 0, "guest IA32_DEBUGCTL: reserved bits are 0");
  rule(vmread(GUEST_DR7) >> 32 == 0, "guest DR7: bits 63 to 32 are 0");
  rule(isCanonical(vmread(GUEST_SYSENTER_ESP)), "guest IA32_SYSENTER_ESP is canonical");
  rule(isCanonical(vmread(GUEST_SYSENTER_EIP)), "guest IA32_SYSENTER_EIP is canonical");
  const pat = (entry & ENTRYC_LOAD_PAT) == 0 || validPat(vmread(GUEST_PAT));
  rule(pat, "guest IA32_PAT: every entry is a memory type");
  if ((entry & ENTRYC_LOAD_EFER) == 0) return;
  const efer = vmread(GUEST_EFER);
  const lma = (efer & EFER_LMA) != 0;
  rule(validEfer(efer), "guest IA32_EFER: reserved bits are 0");
  rule(lma == longMode, 'guest IA32_EFER.LMA equals the VM-entry control "IA-32e mode guest"');
  const paging = (vmread(GUEST_CR0) & CR0_PG) != 0;
  rule(!paging || lma == ((efer & EFER_LME) != 0), "guest IA32_EFER: LMA equals LME while CR0.PG = 1");
}

function checkTables(): void {
  rule(isCanonical(vmread(GUEST_GDTR_BASE)), "guest GDTR base is canonical");
  rule(isCanonical(vmread(GUEST_IDTR_BASE)), "guest IDTR base is canonical");
  rule(vmread(GUEST_GDTR_LIMIT) >> 16 == 0, "guest GDTR limit: bits 31 to 16 are 0");
  rule(vmread(GUEST_IDTR_LIMIT) >> 16 == 0, "guest IDTR limit: bits 31 to 16 are 0");
}

function checkRipAndFlags(longMode: bool): void {
  const rip = vmread(GUEST_RIP);
  const flags = vmread(GUEST_RFLAGS);
  const wide = longMode && (vmread(GUEST_CS_ACCESS) & SEGMENT_LONG) != 0;
  rule(wide || rip >> 32 == 0, "guest RIP: bits 63 to 32 are 0 outside 64-bit code");
  rule(!wide || isCanonical(rip), "guest RIP is canonical in 64-bit code");
  rule((flags & RFLAGS_RESERVED) == 0, "guest RFLAGS: reserved bits are 0");
  rule((flags & RFLAGS_RESERVED_ONE) != 0, "guest RFLAGS: bit 1 is 1");
  const mayBeVm86 = !longMode && (vmread(GUEST_CR0) & CR0_PE) != 0;
  rule(
    (flags & RFLAGS_VM) == 0 || mayBeVm86,
    "guest RFLAGS.VM is 1 only in protected mode outside IA-32e mode",
  );
  const info = vmread(ENTRY_INTERRUPTION_INFO);
  const external = (info & EVENT_VALID) != 0 && (info & EVENT_TYPE_MASK) == EVENT_EXTERNAL;
  rule(!external || (flags & RFLAGS_IF) != 0, "an external interrupt is injected only with RFLAGS.IF = 1");
}

function checkInterruptibility(): void {
  const state = vmread(GUEST_INTERRUPTIBILITY);
  const flags = vmread(GUEST_RFLAGS);
  const shadows = state & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  rule(state >> 5 == 0, "guest interruptibility: reserved bits are 0");
  rule(
    shadows != (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS),
    "guest interruptibility: not blocked by STI and MOV SS at once",
  );
  rule(
    (state & BLOCKING_BY_STI) == 0 || (flags & RFLAGS_IF) != 0,
    "guest interruptibility: blocking by STI needs RFLAGS.IF = 1",
  );
  rule(
    (state & (BLOCKING_BY_SMI | ENCLAVE_INTERRUPTION)) == 0,
    "guest interruptibility: no SMI blocking or enclave interruption",
  );
  const info = vmread(ENTRY_INTERRUPTION_INFO);
  if ((info & EVENT_VALID) == 0) return;
  const type = info & EVENT_TYPE_MASK;
  rule(
    type != EVENT_EXTERNAL || shadows == 0,
    "an external interrupt is injected only when not blocked by STI or MOV SS",
  );
  rule(
    type != EVENT_NMI || (state & BLOCKING_BY_MOV_SS) == 0,
    "an NMI is injected only when not blocked by MOV SS",
  );
  const blocked = (vmread(PIN_CONTROLS) & PIN_VIRTUAL_NMIS) != 0 && (state & BLOCKING_BY_NMI) != 0;
  rule(type != EVENT_NMI || !blocked, "a virtual NMI is injected only when not blocked by NMI");
}

function checkActivity(): void {
  const activity = vmread(GUEST_ACTIVITY);
  const shadows = vmread(GUEST_INTERRUPTIBILITY) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  rule(activity <= ACTIVITY_WAIT_FOR_SIPI, "guest activity state is one that the manual defines");
  rule(activity == 0 || shadows == 0, "guest activity state is active while blocked by STI or MOV SS");
  const pending = vmread(GUEST_PENDING_DEBUG);
  rule((pending & ~PENDING_DEFINED) == 0, "guest pending debug exceptions: reserved bits are 0");
  if (shadows == 0 && activity != ACTIVITY_HLT) return;
  const steps = (vmread(GUEST_RFLAGS) & RFLAGS_TF) != 0 && (vmread(GUEST_DEBUGCTL) & DEBUGCTL_BTF) == 0;
  rule(
    ((pending & PENDING_BS) != 0) == steps,
    "guest pending debug exceptions: BS is as RFLAGS.TF says, in a shadow or HLT",
  );
}

function checkPdptes(longMode: bool): void {
  const pae = (vmread(GUEST_CR0) & CR0_PG) != 0 && (vmread(GUEST_CR4) & CR4_PAE) != 0 && !longMode;
  if (!pae) return;
  for (let i: u32 = 0; i < 4; i++) {
    const entry = vmread(GUEST_PDPTE0 + 2 * i);
    const reserved = (entry & PDPTE_RESERVED) != 0 || entry >> <u64>physicalAddressBits() != 0;
    rule(
      (entry & PDPTE_PRESENT) == 0 || !reserved,
      "guest page-directory-pointer-table entries: reserved bits are 0",
    );
  }
}

/** Checks the guest-state area of the current VMCS, segments apart; what it breaks goes to the list of violations. */
export function checkGuest(): void {
  const entry = vmread(ENTRY_CONTROLS);
  const longMode = (entry & ENTRYC_IA32E_GUEST) != 0;
  checkControlRegisters(longMode);
  checkMsrs(longMode, entry);
  checkTables();
  checkRipAndFlags(longMode);
  checkInterruptibility();
  checkActivity();
  const link = vmread(VMCS_LINK_POINTER);
  rule(link == U64.MAX_VALUE, "the VMCS link pointer is all ones: no shadow VMCS");
  checkPdptes(longMode);
}
