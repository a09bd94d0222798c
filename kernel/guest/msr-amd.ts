// MSRs that AMD's processors have and that guests expect behind AMD's CPUID vendor: values of a machine whose firmware has
// set everything up and locked it. Writes that change nothing that matters to a virtual machine are taken and dropped.
// Sources: APM volume 2, "MSR Cross-Reference"; BIOS and Kernel Developer's Guides, "MSRs - MSRC001_0xxx" and "MSRC001_1xxx".

const SYSCFG: u32 = 0xc0010010;
const HWCR: u32 = 0xc0010015;
const IORR_BASE0: u32 = 0xc0010016;
const IORR_REGISTERS: u32 = 4;
const TOP_MEM: u32 = 0xc001001a;
const TOP_MEM2: u32 = 0xc001001d;
const NB_CFG: u32 = 0xc001001f;
const INTERRUPT_PENDING: u32 = 0xc0010055;
const MMIO_CONFIGURATION: u32 = 0xc0010058;
const LS_CFG: u32 = 0xc0011020;
const IC_CFG: u32 = 0xc0011021;
const DC_CFG: u32 = 0xc0011022;
const BU_CFG: u32 = 0xc0011023;
const DE_CFG: u32 = 0xc0011029;
const BU_CFG2: u32 = 0xc001102a;

/** TscFreqSel: the TSC counts at the P0 rate. */
const HWCR_TSC_AT_P0: u64 = 1 << 24;
/** NB_CFG: extended configuration space through CF8h is on, so that nobody needs to turn it on. */
const NB_CFG_EXTENDED_CF8: u64 = 1 << 46;
/** LFENCE is serializing. */
const DE_CFG_LFENCE_SERIALIZE: u64 = 1 << 1;

/** Stores the value at `result`. False: #GP. */
export function amdMsrRead(msr: u32, result: usize): bool {
  switch (msr) {
    case HWCR:
      store<u64>(result, HWCR_TSC_AT_P0);
      return true;
    case NB_CFG:
      store<u64>(result, NB_CFG_EXTENDED_CF8);
      return true;
    case DE_CFG:
      store<u64>(result, DE_CFG_LFENCE_SERIALIZE);
      return true;
    default:
      store<u64>(result, 0);
      return isKnown(msr);
  }
}

/** False: #GP. */
export function amdMsrWrite(msr: u32, _value: u64): bool {
  return isKnown(msr) || msr == HWCR || msr == NB_CFG || msr == DE_CFG;
}

/** Registers that read as zero: nothing enabled, no errata work-around chosen. */
function isKnown(msr: u32): bool {
  if (msr - IORR_BASE0 < IORR_REGISTERS) return true;
  switch (msr) {
    case SYSCFG:
    case TOP_MEM:
    case TOP_MEM2:
    case INTERRUPT_PENDING:
    case MMIO_CONFIGURATION:
    case LS_CFG:
    case IC_CFG:
    case DC_CFG:
    case BU_CFG:
    case BU_CFG2:
      return true;
    default:
      return false;
  }
}
