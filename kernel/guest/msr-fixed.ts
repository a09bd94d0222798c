// MSRs that every processor of a vendor has, whatever CPUID says, and that kernels touch without asking: values of a machine
// whose firmware has set everything up, none of whose counters counts. Writes of what changes nothing that matters to a
// virtual machine are taken and dropped. What a bit of CPUID announces is not here: see features.ts.
// Sources: SDM volume 4, "MSRs in Processors Based on …"; APM volume 2, "MSR Cross-Reference"; BIOS and Kernel Developer's
// Guides, "MSRs - MSRC001_0xxx" and "MSRC001_1xxx".
import { Vcpu } from "../vcpu/vcpu";
import { giveMsr } from "./msr-state";

// Whose they are.
const INTEL: u32 = 1 << 0;
const AMD: u32 = 1 << 1;
const BOTH: u32 = INTEL | AMD;

// How they are written.
const READ_ONLY: u32 = 0;
/** Zero clears what is clear; other values fault. */
const ZERO: u32 = 1;
/** Every value is taken and dropped. */
const DROPPED: u32 = 2;
/** The same, and reading faults. */
const WRITE_ONLY: u32 = 3;

/** Nothing is enabled, nothing is counted, no errata work-around chosen. */
const NOTHING: u32 = 0;

/** first MSR, how many, whose, how written, bits 31..0, bits 63..32 */
// biome-ignore format: one row a line
const FIXED_MSRS: StaticArray<u32> = [
  0x00000000, 2, BOTH, ZERO, NOTHING, 0, // IA32_P5_MC_ADDR, IA32_P5_MC_TYPE: no machine check has happened
  0x00000017, 1, INTEL, READ_ONLY, NOTHING, 0, // IA32_PLATFORM_ID
  0x0000002a, 1, INTEL, ZERO, NOTHING, 0, // EBL_CR_POWERON
  0x0000003a, 1, INTEL, READ_ONLY, 1, 0, // IA32_FEATURE_CONTROL: locked, VMX off
  0x00000079, 1, BOTH, WRITE_ONLY, 0, 0, // IA32_BIOS_UPDT_TRIG: that nothing was loaded, the revision tells
  0x000000c1, 2, INTEL, DROPPED, NOTHING, 0, // PERFCTR0 and 1, as all processors of family 6 have them
  0x000000ce, 1, INTEL, READ_ONLY, NOTHING, 0, // PLATFORM_INFO
  0x00000186, 2, INTEL, DROPPED, NOTHING, 0, // PERFEVTSEL0 and 1
  0x000001db, 4, BOTH, ZERO, NOTHING, 0, // last branch, last exception: from and to
  0xc0010000, 8, AMD, DROPPED, NOTHING, 0, // PERF_CTL0 to 3, PERF_CTR0 to 3
  0xc0010010, 1, AMD, DROPPED, NOTHING, 0, // SYSCFG
  0xc0010015, 1, AMD, DROPPED, 1 << 24, 0, // HWCR, TscFreqSel: the TSC counts at the P0 rate
  0xc0010016, 4, AMD, DROPPED, NOTHING, 0, // IORR
  0xc001001a, 1, AMD, DROPPED, NOTHING, 0, // TOP_MEM
  0xc001001b, 1, AMD, DROPPED, 0x20000000, 0, // CLK_CTL: as after reset
  0xc001001d, 1, AMD, DROPPED, NOTHING, 0, // TOP_MEM2
  0xc001001f, 1, AMD, DROPPED, 0, 1 << 14, // NB_CFG: extended configuration space through CF8h is on
  0xc0010020, 1, AMD, WRITE_ONLY, 0, 0, // PATCH_LOADER
  0xc0010055, 1, AMD, DROPPED, NOTHING, 0, // interrupt pending
  0xc0010058, 1, AMD, DROPPED, NOTHING, 0, // MMIO configuration base
  0xc0010061, 11, AMD, DROPPED, NOTHING, 0, // P-state limit, control, status, definitions
  0xc0010112, 2, AMD, ZERO, NOTHING, 0, // TSEG base and mask: no system management memory
  0xc0011020, 4, AMD, DROPPED, NOTHING, 0, // LS_CFG, IC_CFG, DC_CFG, BU_CFG
  0xc0011028, 1, AMD, DROPPED, NOTHING, 0, // FP_CFG
  0xc0011029, 1, AMD, DROPPED, 1 << 1, 0, // DE_CFG: LFENCE is serializing
  0xc001102a, 1, AMD, DROPPED, NOTHING, 0, // BU_CFG2
  0xc001102c, 1, AMD, DROPPED, NOTHING, 0, // EX_CFG
];
const COLUMNS: i32 = 6;
const NO_ROW: i32 = -1;

/** The row of an MSR of this vendor, or NO_ROW. */
function rowOf(msr: u32, amd: bool): i32 {
  const vendor = amd ? AMD : INTEL;
  for (let row = 0; row < FIXED_MSRS.length; row += COLUMNS) {
    if (msr - FIXED_MSRS[row] < FIXED_MSRS[row + 1] && (FIXED_MSRS[row + 2] & vendor) != 0) return row;
  }
  return NO_ROW;
}

/** RDMSR: puts the value into EDX:EAX. False: #GP. */
export function fixedMsrRead(vcpu: Vcpu, msr: u32, amd: bool): bool {
  const row = rowOf(msr, amd);
  if (row == NO_ROW || FIXED_MSRS[row + 3] == WRITE_ONLY) return false;
  return giveMsr(vcpu, ((<u64>FIXED_MSRS[row + 5]) << 32) | FIXED_MSRS[row + 4]);
}

/** False: #GP. */
export function fixedMsrWrite(msr: u32, amd: bool, value: u64): bool {
  const row = rowOf(msr, amd);
  if (row == NO_ROW || FIXED_MSRS[row + 3] == READ_ONLY) return false;
  return FIXED_MSRS[row + 3] != ZERO || value == 0;
}
