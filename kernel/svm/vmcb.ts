// The virtual machine control block, in the manual's order (APM volume 2, appendix "Layout of VMCB"): a control area of
// 1 KiB, then the state save area, in one 4 KiB frame. Offsets are in bytes from the frame's start.

// --- control area ----------------------------------------------------------------------------------------------------------
/** 15..0: intercept reads of CR0..15; 31..16: writes. */
export const VMCB_INTERCEPT_CR: u64 = 0x000;
/** 15..0: intercept reads of DR0..15; 31..16: writes. */
export const VMCB_INTERCEPT_DR: u64 = 0x004;
/** Bit n: intercept exception vector n. */
export const VMCB_INTERCEPT_EXCEPTION: u64 = 0x008;
export const VMCB_INTERCEPT_MISC1: u64 = 0x00c;
export const VMCB_INTERCEPT_MISC2: u64 = 0x010;
export const VMCB_INTERCEPT_MISC3: u64 = 0x014;
export const VMCB_PAUSE_FILTER_THRESHOLD: u64 = 0x03c;
export const VMCB_PAUSE_FILTER_COUNT: u64 = 0x03e;
export const VMCB_IOPM_BASE: u64 = 0x040;
export const VMCB_MSRPM_BASE: u64 = 0x048;
export const VMCB_TSC_OFFSET: u64 = 0x050;
/** 31..0. */
export const VMCB_ASID: u64 = 0x058;
/** 7..0 of this doubleword: TLB_*. */
export const VMCB_TLB_CONTROL: u64 = 0x05c;
/** 31..0: V_*. */
export const VMCB_VINTR: u64 = 0x060;
/** 7..0: vector of the virtual interrupt. */
export const VMCB_VINTR_VECTOR: u64 = 0x064;
export const VMCB_INTERRUPT_SHADOW: u64 = 0x068;
/** 31..0: reserved bits of the interrupt shadow, 0; 63..32: EXITCODE, shifted for nothing. */
export const VMCB_EXITCODE_UPPER: u64 = 0x06c;
export const VMCB_EXITCODE: u64 = 0x070;
export const VMCB_EXITINFO1: u64 = 0x078;
export const VMCB_EXITINFO2: u64 = 0x080;
export const VMCB_EXITINTINFO: u64 = 0x088;
export const VMCB_NESTED_CONTROL: u64 = 0x090;
export const VMCB_EVENTINJ: u64 = 0x0a8;
export const VMCB_N_CR3: u64 = 0x0b0;
/** LBR_VIRTUALIZATION_ENABLE in bit 0. */
export const VMCB_LBR_CONTROL: u64 = 0x0b8;
export const VMCB_CLEAN: u64 = 0x0c0;
export const VMCB_NRIP: u64 = 0x0c8;
/** 7..0: instruction bytes fetched; the bytes follow from the next offset. */
export const VMCB_FETCHED_COUNT: u64 = 0x0d0;
export const VMCB_FETCHED_BYTES: u64 = 0x0d1;

// --- state save area: segments are selector (2), attributes (2), limit (4), base (8) -------------------------------------------
export const VMCB_ES: u64 = 0x400;
export const VMCB_CS: u64 = 0x410;
export const VMCB_SS: u64 = 0x420;
export const VMCB_DS: u64 = 0x430;
export const VMCB_FS: u64 = 0x440;
export const VMCB_GS: u64 = 0x450;
export const VMCB_GDTR: u64 = 0x460;
export const VMCB_LDTR: u64 = 0x470;
export const VMCB_IDTR: u64 = 0x480;
export const VMCB_TR: u64 = 0x490;
export const VMCB_CPL: u64 = 0x4cb;
export const VMCB_EFER: u64 = 0x4d0;
export const VMCB_CR4: u64 = 0x548;
export const VMCB_CR3: u64 = 0x550;
export const VMCB_CR0: u64 = 0x558;
export const VMCB_DR7: u64 = 0x560;
export const VMCB_DR6: u64 = 0x568;
export const VMCB_RFLAGS: u64 = 0x570;
export const VMCB_RIP: u64 = 0x578;
export const VMCB_RSP: u64 = 0x5d8;
export const VMCB_RAX: u64 = 0x5f8;
export const VMCB_STAR: u64 = 0x600;
export const VMCB_LSTAR: u64 = 0x608;
export const VMCB_CSTAR: u64 = 0x610;
export const VMCB_SFMASK: u64 = 0x618;
export const VMCB_KERNEL_GS_BASE: u64 = 0x620;
export const VMCB_SYSENTER_CS: u64 = 0x628;
export const VMCB_SYSENTER_ESP: u64 = 0x630;
export const VMCB_SYSENTER_EIP: u64 = 0x638;
export const VMCB_CR2: u64 = 0x640;
export const VMCB_G_PAT: u64 = 0x668;
export const VMCB_DBGCTL: u64 = 0x670;

// --- TLB_CONTROL ---------------------------------------------------------------------------------------------------------------
export const TLB_KEEP: u32 = 0;
export const TLB_FLUSH_ALL: u32 = 1;
/** Needs FlushByAsid. */
export const TLB_FLUSH_GUEST: u32 = 3;

// --- VMCB_VINTR: 24 V_INTR_MASKING | 20 V_IGN_TPR | 19..16 V_INTR_PRIO | 8 V_IRQ | 7..0 V_TPR ----------------------------
export const V_TPR_MASK: u32 = 0xff;
export const V_IRQ: u32 = 1 << 8;
export const V_INTR_PRIO_HIGHEST: u32 = 0xf << 16;
export const V_IGN_TPR: u32 = 1 << 20;
export const V_INTR_MASKING: u32 = 1 << 24;

export const NESTED_PAGING_ENABLE: u64 = 1 << 0;
export const INTERRUPT_SHADOW: u64 = 1 << 0;
export const LBR_VIRTUALIZATION_ENABLE: u64 = 1 << 0;

// --- VMCB_CLEAN: a set bit promises that the part is as the last VMRUN on this CPU left it -------------------------------------
/** Intercepts, TSC offset, pause filter. */
export const CLEAN_INTERCEPTS: u32 = 1 << 0;
export const CLEAN_PERMISSION_MAPS: u32 = 1 << 1;
export const CLEAN_ASID: u32 = 1 << 2;
export const CLEAN_VINTR: u32 = 1 << 3;
export const CLEAN_NESTED_PAGING: u32 = 1 << 4;
export const CLEAN_CONTROL_REGISTERS: u32 = 1 << 5;
export const CLEAN_DEBUG_REGISTERS: u32 = 1 << 6;
export const CLEAN_DESCRIPTOR_TABLES: u32 = 1 << 7;
export const CLEAN_SEGMENTS: u32 = 1 << 8;
export const CLEAN_CR2: u32 = 1 << 9;
export const CLEAN_LAST_BRANCH: u32 = 1 << 10;
export const CLEAN_ALL: u32 = 0x7ff;

// --- EVENTINJ and EXITINTINFO: the low half has the form of Vcpu.event ----------------------------------------------------
//
//   63..32      31  30..12  11  10..8  7..0
//   error code  V   0       EV  type   vector

/** Offset of segment register `index` (SEG_*, kernel/vcpu/registers.ts). */
export function vmcbSegment(index: u32): u64 {
  if (index < 6) return VMCB_ES + <u64>index * 16;
  return index == 6 ? VMCB_LDTR : VMCB_TR;
}
