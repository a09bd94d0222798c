// Rules that VM entry checks about the host-state area (SDM volume 3, "Checks on Host Control Registers, MSRs, and SSP",
// "Checks on Host Segment and Descriptor-Table Registers", "Checks Related to Address-Space Size").
import { physicalAddressBits } from "../arch/cpuid";
import { CR4_PAE } from "../arch/cr";
import { rdmsr, vmread } from "../arch/intrinsics";
import { EFER_LMA, EFER_LME } from "../arch/msr";
import {
  IA32_VMX_CR0_FIXED0,
  IA32_VMX_CR0_FIXED1,
  IA32_VMX_CR4_FIXED0,
  IA32_VMX_CR4_FIXED1,
} from "../arch/msr";
import { EXITC_HOST_64_BIT } from "./controls";
import {
  EXIT_CONTROLS,
  HOST_CR0,
  HOST_CR3,
  HOST_CR4,
  HOST_CS_SELECTOR,
  HOST_DS_SELECTOR,
  HOST_EFER,
  HOST_ES_SELECTOR,
  HOST_FS_BASE,
  HOST_FS_SELECTOR,
  HOST_GDTR_BASE,
  HOST_GS_BASE,
  HOST_GS_SELECTOR,
  HOST_IDTR_BASE,
  HOST_PAT,
  HOST_RIP,
  HOST_SS_SELECTOR,
  HOST_SYSENTER_EIP,
  HOST_SYSENTER_ESP,
  HOST_TR_BASE,
  HOST_TR_SELECTOR,
} from "./fields";
import { isCanonical, validEfer, validPat } from "./validity";
import { rule } from "../vcpu/violations";

/** Requested privilege level and table indicator. */
const SELECTOR_LOW_BITS: u64 = 7;

function checkRegisters(): void {
  const cr0 = vmread(HOST_CR0);
  rule((rdmsr(IA32_VMX_CR0_FIXED0) & ~cr0) == 0, "host CR0: bits fixed to 1 are 1");
  rule((cr0 & ~rdmsr(IA32_VMX_CR0_FIXED1)) == 0, "host CR0: bits fixed to 0 are 0");
  const cr4 = vmread(HOST_CR4);
  rule((rdmsr(IA32_VMX_CR4_FIXED0) & ~cr4) == 0, "host CR4: bits fixed to 1 are 1");
  rule((cr4 & ~rdmsr(IA32_VMX_CR4_FIXED1)) == 0, "host CR4: bits fixed to 0 are 0");
  rule(vmread(HOST_CR3) >> <u64>physicalAddressBits() == 0, "host CR3 is within the physical-address width");
  rule(isCanonical(vmread(HOST_SYSENTER_ESP)), "host IA32_SYSENTER_ESP is canonical");
  rule(isCanonical(vmread(HOST_SYSENTER_EIP)), "host IA32_SYSENTER_EIP is canonical");
  rule(validPat(vmread(HOST_PAT)), "host IA32_PAT: every entry is a memory type");
  const efer = vmread(HOST_EFER);
  rule(validEfer(efer), "host IA32_EFER: reserved bits are 0");
  rule(
    (efer & (EFER_LMA | EFER_LME)) == (EFER_LMA | EFER_LME),
    "host IA32_EFER: LMA and LME are 1 for a 64-bit host",
  );
}

function checkSegments(): void {
  const cs = vmread(HOST_CS_SELECTOR);
  const tr = vmread(HOST_TR_SELECTOR);
  const others =
    vmread(HOST_ES_SELECTOR) |
    vmread(HOST_SS_SELECTOR) |
    vmread(HOST_DS_SELECTOR) |
    vmread(HOST_FS_SELECTOR) |
    vmread(HOST_GS_SELECTOR);
  rule(((cs | tr | others) & SELECTOR_LOW_BITS) == 0, "host selectors: RPL and TI are 0");
  rule(cs != 0, "host CS selector is not null");
  rule(tr != 0, "host TR selector is not null");
  rule(isCanonical(vmread(HOST_FS_BASE)), "host FS base is canonical");
  rule(isCanonical(vmread(HOST_GS_BASE)), "host GS base is canonical");
  rule(isCanonical(vmread(HOST_TR_BASE)), "host TR base is canonical");
  rule(isCanonical(vmread(HOST_GDTR_BASE)), "host GDTR base is canonical");
  rule(isCanonical(vmread(HOST_IDTR_BASE)), "host IDTR base is canonical");
}

/** Checks the host-state area of the current VMCS; what it breaks goes to the list of violations. */
export function checkHost(): void {
  checkRegisters();
  checkSegments();
  rule((vmread(EXIT_CONTROLS) & EXITC_HOST_64_BIT) != 0, "the host's address-space size is 64 bits");
  rule((vmread(HOST_CR4) & CR4_PAE) != 0, "host CR4.PAE is 1 for a 64-bit host");
  rule(isCanonical(vmread(HOST_RIP)), "host RIP is canonical");
}
