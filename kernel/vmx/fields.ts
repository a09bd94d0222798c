// biome-ignore-all format: an aligned table.
//
// The fields of the VMCS, in the manual's order (SDM volume 3, appendix "Field Encoding in VMCS"). An encoding is derived
// from the field's width, type and index:
//
//   31..15  14..13  12  11..10  9..1   0
//   0       width   0   type    index  access (1 = high half of a 64-bit field)

const WORD: u32 = 0 << 13;
const QUAD: u32 = 1 << 13;
const DOUBLE: u32 = 2 << 13;
const NATURAL: u32 = 3 << 13;

const CONTROL: u32 = 0 << 10;
const DATA: u32 = 1 << 10;
const GUEST: u32 = 2 << 10;
const HOST: u32 = 3 << 10;

// --- 16-bit control fields ---
export const VPID: u32                    = WORD | CONTROL | ( 0 << 1);
export const POSTED_INTERRUPT_VECTOR: u32 = WORD | CONTROL | ( 1 << 1);
export const EPTP_INDEX: u32              = WORD | CONTROL | ( 2 << 1);
export const HLAT_PREFIX_SIZE: u32        = WORD | CONTROL | ( 3 << 1);
export const LAST_PID_POINTER_INDEX: u32  = WORD | CONTROL | ( 4 << 1);

// --- 16-bit guest-state fields ---
export const GUEST_ES_SELECTOR: u32      = WORD | GUEST | ( 0 << 1);
export const GUEST_CS_SELECTOR: u32      = WORD | GUEST | ( 1 << 1);
export const GUEST_SS_SELECTOR: u32      = WORD | GUEST | ( 2 << 1);
export const GUEST_DS_SELECTOR: u32      = WORD | GUEST | ( 3 << 1);
export const GUEST_FS_SELECTOR: u32      = WORD | GUEST | ( 4 << 1);
export const GUEST_GS_SELECTOR: u32      = WORD | GUEST | ( 5 << 1);
export const GUEST_LDTR_SELECTOR: u32    = WORD | GUEST | ( 6 << 1);
export const GUEST_TR_SELECTOR: u32      = WORD | GUEST | ( 7 << 1);
export const GUEST_INTERRUPT_STATUS: u32 = WORD | GUEST | ( 8 << 1);
export const PML_INDEX: u32              = WORD | GUEST | ( 9 << 1);
export const GUEST_UINV: u32             = WORD | GUEST | (10 << 1);

// --- 16-bit host-state fields ---
export const HOST_ES_SELECTOR: u32 = WORD | HOST | ( 0 << 1);
export const HOST_CS_SELECTOR: u32 = WORD | HOST | ( 1 << 1);
export const HOST_SS_SELECTOR: u32 = WORD | HOST | ( 2 << 1);
export const HOST_DS_SELECTOR: u32 = WORD | HOST | ( 3 << 1);
export const HOST_FS_SELECTOR: u32 = WORD | HOST | ( 4 << 1);
export const HOST_GS_SELECTOR: u32 = WORD | HOST | ( 5 << 1);
export const HOST_TR_SELECTOR: u32 = WORD | HOST | ( 6 << 1);

// --- 64-bit control fields ---
export const IO_BITMAP_A: u32                 = QUAD | CONTROL | ( 0 << 1);
export const IO_BITMAP_B: u32                 = QUAD | CONTROL | ( 1 << 1);
export const MSR_BITMAP: u32                  = QUAD | CONTROL | ( 2 << 1);
export const EXIT_MSR_STORE_ADDRESS: u32      = QUAD | CONTROL | ( 3 << 1);
export const EXIT_MSR_LOAD_ADDRESS: u32       = QUAD | CONTROL | ( 4 << 1);
export const ENTRY_MSR_LOAD_ADDRESS: u32      = QUAD | CONTROL | ( 5 << 1);
export const EXECUTIVE_VMCS_POINTER: u32      = QUAD | CONTROL | ( 6 << 1);
export const PML_ADDRESS: u32                 = QUAD | CONTROL | ( 7 << 1);
export const TSC_OFFSET: u32                  = QUAD | CONTROL | ( 8 << 1);
export const VIRTUAL_APIC_ADDRESS: u32        = QUAD | CONTROL | ( 9 << 1);
export const APIC_ACCESS_ADDRESS: u32         = QUAD | CONTROL | (10 << 1);
export const POSTED_INTERRUPT_DESCRIPTOR: u32 = QUAD | CONTROL | (11 << 1);
export const VM_FUNCTION_CONTROLS: u32        = QUAD | CONTROL | (12 << 1);
export const EPT_POINTER: u32                 = QUAD | CONTROL | (13 << 1);
export const EOI_EXIT_BITMAP0: u32            = QUAD | CONTROL | (14 << 1);
export const EOI_EXIT_BITMAP1: u32            = QUAD | CONTROL | (15 << 1);
export const EOI_EXIT_BITMAP2: u32            = QUAD | CONTROL | (16 << 1);
export const EOI_EXIT_BITMAP3: u32            = QUAD | CONTROL | (17 << 1);
export const EPTP_LIST_ADDRESS: u32           = QUAD | CONTROL | (18 << 1);
export const VMREAD_BITMAP: u32               = QUAD | CONTROL | (19 << 1);
export const VMWRITE_BITMAP: u32              = QUAD | CONTROL | (20 << 1);
export const VE_INFORMATION_ADDRESS: u32      = QUAD | CONTROL | (21 << 1);
export const XSS_EXITING_BITMAP: u32          = QUAD | CONTROL | (22 << 1);
export const ENCLS_EXITING_BITMAP: u32        = QUAD | CONTROL | (23 << 1);
export const SPP_TABLE_POINTER: u32           = QUAD | CONTROL | (24 << 1);
export const TSC_MULTIPLIER: u32              = QUAD | CONTROL | (25 << 1);
export const TERTIARY_CONTROLS: u32           = QUAD | CONTROL | (26 << 1);
export const ENCLV_EXITING_BITMAP: u32        = QUAD | CONTROL | (27 << 1);

// --- 64-bit read-only data field ---
export const GUEST_PHYSICAL_ADDRESS: u32 = QUAD | DATA | ( 0 << 1);

// --- 64-bit guest-state fields ---
export const VMCS_LINK_POINTER: u32      = QUAD | GUEST | ( 0 << 1);
export const GUEST_DEBUGCTL: u32         = QUAD | GUEST | ( 1 << 1);
export const GUEST_PAT: u32              = QUAD | GUEST | ( 2 << 1);
export const GUEST_EFER: u32             = QUAD | GUEST | ( 3 << 1);
export const GUEST_PERF_GLOBAL_CTRL: u32 = QUAD | GUEST | ( 4 << 1);
export const GUEST_PDPTE0: u32           = QUAD | GUEST | ( 5 << 1);
export const GUEST_PDPTE1: u32           = QUAD | GUEST | ( 6 << 1);
export const GUEST_PDPTE2: u32           = QUAD | GUEST | ( 7 << 1);
export const GUEST_PDPTE3: u32           = QUAD | GUEST | ( 8 << 1);
export const GUEST_BNDCFGS: u32          = QUAD | GUEST | ( 9 << 1);
export const GUEST_RTIT_CTL: u32         = QUAD | GUEST | (10 << 1);
export const GUEST_LBR_CTL: u32          = QUAD | GUEST | (11 << 1);
export const GUEST_PKRS: u32             = QUAD | GUEST | (12 << 1);

// --- 64-bit host-state fields ---
export const HOST_PAT: u32              = QUAD | HOST | ( 0 << 1);
export const HOST_EFER: u32             = QUAD | HOST | ( 1 << 1);
export const HOST_PERF_GLOBAL_CTRL: u32 = QUAD | HOST | ( 2 << 1);
export const HOST_PKRS: u32             = QUAD | HOST | ( 3 << 1);

// --- 32-bit control fields ---
export const PIN_CONTROLS: u32               = DOUBLE | CONTROL | ( 0 << 1);
export const PRIMARY_CONTROLS: u32           = DOUBLE | CONTROL | ( 1 << 1);
export const EXCEPTION_BITMAP: u32           = DOUBLE | CONTROL | ( 2 << 1);
export const PAGE_FAULT_ERROR_MASK: u32      = DOUBLE | CONTROL | ( 3 << 1);
export const PAGE_FAULT_ERROR_MATCH: u32     = DOUBLE | CONTROL | ( 4 << 1);
export const CR3_TARGET_COUNT: u32           = DOUBLE | CONTROL | ( 5 << 1);
export const EXIT_CONTROLS: u32              = DOUBLE | CONTROL | ( 6 << 1);
export const EXIT_MSR_STORE_COUNT: u32       = DOUBLE | CONTROL | ( 7 << 1);
export const EXIT_MSR_LOAD_COUNT: u32        = DOUBLE | CONTROL | ( 8 << 1);
export const ENTRY_CONTROLS: u32             = DOUBLE | CONTROL | ( 9 << 1);
export const ENTRY_MSR_LOAD_COUNT: u32       = DOUBLE | CONTROL | (10 << 1);
export const ENTRY_INTERRUPTION_INFO: u32    = DOUBLE | CONTROL | (11 << 1);
export const ENTRY_EXCEPTION_ERROR_CODE: u32 = DOUBLE | CONTROL | (12 << 1);
export const ENTRY_INSTRUCTION_LENGTH: u32   = DOUBLE | CONTROL | (13 << 1);
export const TPR_THRESHOLD: u32              = DOUBLE | CONTROL | (14 << 1);
export const SECONDARY_CONTROLS: u32         = DOUBLE | CONTROL | (15 << 1);
export const PLE_GAP: u32                    = DOUBLE | CONTROL | (16 << 1);
export const PLE_WINDOW: u32                 = DOUBLE | CONTROL | (17 << 1);
export const INSTRUCTION_TIMEOUT: u32        = DOUBLE | CONTROL | (18 << 1);

// --- 32-bit read-only data fields ---
export const VM_INSTRUCTION_ERROR: u32         = DOUBLE | DATA | ( 0 << 1);
export const EXIT_REASON: u32                  = DOUBLE | DATA | ( 1 << 1);
export const EXIT_INTERRUPTION_INFO: u32       = DOUBLE | DATA | ( 2 << 1);
export const EXIT_INTERRUPTION_ERROR_CODE: u32 = DOUBLE | DATA | ( 3 << 1);
export const IDT_VECTORING_INFO: u32           = DOUBLE | DATA | ( 4 << 1);
export const IDT_VECTORING_ERROR_CODE: u32     = DOUBLE | DATA | ( 5 << 1);
export const EXIT_INSTRUCTION_LENGTH: u32      = DOUBLE | DATA | ( 6 << 1);
export const EXIT_INSTRUCTION_INFO: u32        = DOUBLE | DATA | ( 7 << 1);

// --- 32-bit guest-state fields ---
export const GUEST_ES_LIMIT: u32         = DOUBLE | GUEST | ( 0 << 1);
export const GUEST_CS_LIMIT: u32         = DOUBLE | GUEST | ( 1 << 1);
export const GUEST_SS_LIMIT: u32         = DOUBLE | GUEST | ( 2 << 1);
export const GUEST_DS_LIMIT: u32         = DOUBLE | GUEST | ( 3 << 1);
export const GUEST_FS_LIMIT: u32         = DOUBLE | GUEST | ( 4 << 1);
export const GUEST_GS_LIMIT: u32         = DOUBLE | GUEST | ( 5 << 1);
export const GUEST_LDTR_LIMIT: u32       = DOUBLE | GUEST | ( 6 << 1);
export const GUEST_TR_LIMIT: u32         = DOUBLE | GUEST | ( 7 << 1);
export const GUEST_GDTR_LIMIT: u32       = DOUBLE | GUEST | ( 8 << 1);
export const GUEST_IDTR_LIMIT: u32       = DOUBLE | GUEST | ( 9 << 1);
export const GUEST_ES_ACCESS: u32        = DOUBLE | GUEST | (10 << 1);
export const GUEST_CS_ACCESS: u32        = DOUBLE | GUEST | (11 << 1);
export const GUEST_SS_ACCESS: u32        = DOUBLE | GUEST | (12 << 1);
export const GUEST_DS_ACCESS: u32        = DOUBLE | GUEST | (13 << 1);
export const GUEST_FS_ACCESS: u32        = DOUBLE | GUEST | (14 << 1);
export const GUEST_GS_ACCESS: u32        = DOUBLE | GUEST | (15 << 1);
export const GUEST_LDTR_ACCESS: u32      = DOUBLE | GUEST | (16 << 1);
export const GUEST_TR_ACCESS: u32        = DOUBLE | GUEST | (17 << 1);
export const GUEST_INTERRUPTIBILITY: u32 = DOUBLE | GUEST | (18 << 1);
export const GUEST_ACTIVITY: u32         = DOUBLE | GUEST | (19 << 1);
export const GUEST_SMBASE: u32           = DOUBLE | GUEST | (20 << 1);
export const GUEST_SYSENTER_CS: u32      = DOUBLE | GUEST | (21 << 1);
export const PREEMPTION_TIMER_VALUE: u32 = DOUBLE | GUEST | (23 << 1);

// --- 32-bit host-state field ---
export const HOST_SYSENTER_CS: u32 = DOUBLE | HOST | ( 0 << 1);

// --- Natural-width control fields ---
export const CR0_MASK: u32        = NATURAL | CONTROL | ( 0 << 1);
export const CR4_MASK: u32        = NATURAL | CONTROL | ( 1 << 1);
export const CR0_READ_SHADOW: u32 = NATURAL | CONTROL | ( 2 << 1);
export const CR4_READ_SHADOW: u32 = NATURAL | CONTROL | ( 3 << 1);
export const CR3_TARGET0: u32     = NATURAL | CONTROL | ( 4 << 1);
export const CR3_TARGET1: u32     = NATURAL | CONTROL | ( 5 << 1);
export const CR3_TARGET2: u32     = NATURAL | CONTROL | ( 6 << 1);
export const CR3_TARGET3: u32     = NATURAL | CONTROL | ( 7 << 1);

// --- Natural-width read-only data fields ---
export const EXIT_QUALIFICATION: u32   = NATURAL | DATA | ( 0 << 1);
export const IO_RCX: u32               = NATURAL | DATA | ( 1 << 1);
export const IO_RSI: u32               = NATURAL | DATA | ( 2 << 1);
export const IO_RDI: u32               = NATURAL | DATA | ( 3 << 1);
export const IO_RIP: u32               = NATURAL | DATA | ( 4 << 1);
export const GUEST_LINEAR_ADDRESS: u32 = NATURAL | DATA | ( 5 << 1);

// --- Natural-width guest-state fields ---
export const GUEST_CR0: u32           = NATURAL | GUEST | ( 0 << 1);
export const GUEST_CR3: u32           = NATURAL | GUEST | ( 1 << 1);
export const GUEST_CR4: u32           = NATURAL | GUEST | ( 2 << 1);
export const GUEST_ES_BASE: u32       = NATURAL | GUEST | ( 3 << 1);
export const GUEST_CS_BASE: u32       = NATURAL | GUEST | ( 4 << 1);
export const GUEST_SS_BASE: u32       = NATURAL | GUEST | ( 5 << 1);
export const GUEST_DS_BASE: u32       = NATURAL | GUEST | ( 6 << 1);
export const GUEST_FS_BASE: u32       = NATURAL | GUEST | ( 7 << 1);
export const GUEST_GS_BASE: u32       = NATURAL | GUEST | ( 8 << 1);
export const GUEST_LDTR_BASE: u32     = NATURAL | GUEST | ( 9 << 1);
export const GUEST_TR_BASE: u32       = NATURAL | GUEST | (10 << 1);
export const GUEST_GDTR_BASE: u32     = NATURAL | GUEST | (11 << 1);
export const GUEST_IDTR_BASE: u32     = NATURAL | GUEST | (12 << 1);
export const GUEST_DR7: u32           = NATURAL | GUEST | (13 << 1);
export const GUEST_RSP: u32           = NATURAL | GUEST | (14 << 1);
export const GUEST_RIP: u32           = NATURAL | GUEST | (15 << 1);
export const GUEST_RFLAGS: u32        = NATURAL | GUEST | (16 << 1);
export const GUEST_PENDING_DEBUG: u32 = NATURAL | GUEST | (17 << 1);
export const GUEST_SYSENTER_ESP: u32  = NATURAL | GUEST | (18 << 1);
export const GUEST_SYSENTER_EIP: u32  = NATURAL | GUEST | (19 << 1);
export const GUEST_S_CET: u32         = NATURAL | GUEST | (20 << 1);
export const GUEST_SSP: u32           = NATURAL | GUEST | (21 << 1);
export const GUEST_SSP_TABLE: u32     = NATURAL | GUEST | (22 << 1);

// --- Natural-width host-state fields ---
export const HOST_CR0: u32          = NATURAL | HOST | ( 0 << 1);
export const HOST_CR3: u32          = NATURAL | HOST | ( 1 << 1);
export const HOST_CR4: u32          = NATURAL | HOST | ( 2 << 1);
export const HOST_FS_BASE: u32      = NATURAL | HOST | ( 3 << 1);
export const HOST_GS_BASE: u32      = NATURAL | HOST | ( 4 << 1);
export const HOST_TR_BASE: u32      = NATURAL | HOST | ( 5 << 1);
export const HOST_GDTR_BASE: u32    = NATURAL | HOST | ( 6 << 1);
export const HOST_IDTR_BASE: u32    = NATURAL | HOST | ( 7 << 1);
export const HOST_SYSENTER_ESP: u32 = NATURAL | HOST | ( 8 << 1);
export const HOST_SYSENTER_EIP: u32 = NATURAL | HOST | ( 9 << 1);
export const HOST_RSP: u32          = NATURAL | HOST | (10 << 1);
export const HOST_RIP: u32          = NATURAL | HOST | (11 << 1);
export const HOST_S_CET: u32        = NATURAL | HOST | (12 << 1);
export const HOST_SSP: u32          = NATURAL | HOST | (13 << 1);
export const HOST_SSP_TABLE: u32    = NATURAL | HOST | (14 << 1);
