// What CPUID tells a guest, as a table: each row is (host's value AND mask) OR fixed, for one register of one leaf. What
// is in no row reads as zero. Bits of features are in features.ts; leaves that depend on the VM, the vCPU or the guest's own
// state are completed in cpuid.ts.
// Sources: SDM, "CPUID—CPU Identification"; APM volume 3, "Obtaining Processor Information Via the CPUID Instruction".
import { EAX, EBX, ECX, EDX } from "../arch/cpuid";
import { LAPIC_TIMER_HZ } from "../devices/lapic";

const ALL: u32 = 0xffffffff;
const ANY: u32 = 0;

/** Highest leaf of each range that a guest sees. */
export const HIGHEST_BASIC: u32 = 0x0d;
export const HIGHEST_HYPERVISOR: u32 = 0x40000010;
export const HIGHEST_EXTENDED: u32 = 0x80000008;

const CLFLUSH_AND_BRAND: u32 = 0x0000ffff;
/** Widths of physical and linear addresses. */
const ADDRESS_WIDTHS: u32 = 0x0000ffff;

/** leaf, subleaf, register, mask, fixed */
// biome-ignore format: one row a line
export const CPUID_POLICY: StaticArray<u32> = [
  0x00, ANY, EAX, 0, HIGHEST_BASIC,
  0x00, ANY, EBX, ALL, 0,
  0x00, ANY, ECX, ALL, 0,
  0x00, ANY, EDX, ALL, 0,
  0x01, ANY, EAX, ALL, 0,
  0x01, ANY, EBX, CLFLUSH_AND_BRAND, 0,
  0x02, ANY, EAX, ALL, 0,
  0x02, ANY, EBX, ALL, 0,
  0x02, ANY, ECX, ALL, 0,
  0x02, ANY, EDX, ALL, 0,
  0x40000000, ANY, EAX, 0, HIGHEST_HYPERVISOR,
  0x40000000, ANY, EBX, 0, 0x4b4d564b, // "KVMK"
  0x40000000, ANY, ECX, 0, 0x564b4d56, // "VMKV"
  0x40000000, ANY, EDX, 0, 0x0000004d, // "M"
  0x40000010, ANY, EBX, 0, <u32>(LAPIC_TIMER_HZ / 1000),
  0x80000000, ANY, EAX, 0, HIGHEST_EXTENDED,
  0x80000000, ANY, EBX, ALL, 0,
  0x80000000, ANY, ECX, ALL, 0,
  0x80000000, ANY, EDX, ALL, 0,
  0x80000001, ANY, EAX, ALL, 0,
  0x80000002, ANY, EAX, ALL, 0,
  0x80000002, ANY, EBX, ALL, 0,
  0x80000002, ANY, ECX, ALL, 0,
  0x80000002, ANY, EDX, ALL, 0,
  0x80000003, ANY, EAX, ALL, 0,
  0x80000003, ANY, EBX, ALL, 0,
  0x80000003, ANY, ECX, ALL, 0,
  0x80000003, ANY, EDX, ALL, 0,
  0x80000004, ANY, EAX, ALL, 0,
  0x80000004, ANY, EBX, ALL, 0,
  0x80000004, ANY, ECX, ALL, 0,
  0x80000004, ANY, EDX, ALL, 0,
  0x80000005, ANY, EAX, ALL, 0,
  0x80000005, ANY, EBX, ALL, 0,
  0x80000005, ANY, ECX, ALL, 0,
  0x80000005, ANY, EDX, ALL, 0,
  0x80000006, ANY, EAX, ALL, 0,
  0x80000006, ANY, EBX, ALL, 0,
  0x80000006, ANY, ECX, ALL, 0,
  0x80000006, ANY, EDX, ALL, 0,
  0x80000008, ANY, EAX, ADDRESS_WIDTHS, 0,
];
/** Numbers in a row. */
export const CPUID_POLICY_COLUMNS: u32 = 5;
