// The trace stream: what the hypervisor sends over its second serial port when exits are traced, and what a trace file
// holds. Valid for asc and for tsc. All integers are little-endian.
//
// The port also carries the log as plain text lines. A frame begins with four bytes that text never holds:
//
//   byte  0      1     2     3     4      5        6..7     8..11     12 …        12 + length …
//        0xF5   'T'   'V'   'X'   type   version   length   sequence  payload     CRC-32
//
// `length` counts the payload only. `sequence` counts frames from 0, so that a lost frame shows. The CRC-32 (IEEE 802.3,
// reflected, as in zlib) covers bytes 4 to the end of the payload.

export const TRACE_MAGIC_0: u32 = 0xf5;
export const TRACE_MAGIC_1: u32 = 0x54;
export const TRACE_MAGIC_2: u32 = 0x56;
export const TRACE_MAGIC_3: u32 = 0x58;
export const TRACE_HEADER_BYTES: u32 = 12;
export const TRACE_CRC_BYTES: u32 = 4;
export const TRACE_MAX_PAYLOAD: u32 = 4096;
/** Readers refuse a frame whose version is higher than this; the version rises when a field's meaning changes. */
export const TRACE_VERSION: u32 = 2;

// --- frame types ---------------------------------------------------------------------------------------------------------
/** First frame: u64 TSC frequency (Hz), u64 TSC at the start, u32 backend (TRACE_BACKEND_*), u32 CPUs, u32 VMs, u32 0. */
export const TRACE_FRAME_START: u32 = 1;
/** Exit records, encoded as below, all of one physical CPU: u32 CPU, u32 number of records, then the records. */
export const TRACE_FRAME_EXITS: u32 = 2;
/** Records that did not fit the ring: u32 CPU, u32 0, u64 how many since the last such frame. */
export const TRACE_FRAME_LOST: u32 = 3;
/** Time (TSC ticks) spent on recording since the start: u32 CPU, u32 0, u64 ticks. No time in a record contains any. */
export const TRACE_FRAME_OVERHEAD: u32 = 4;
/** Last frame: u64 TSC, u64 records taken, u64 records lost. */
export const TRACE_FRAME_END: u32 = 5;
/** In its place when the run was ended from outside: empty, and written by who recorded. */
export const TRACE_FRAME_CUT: u32 = 7;

/**
 * What passes from here on, when that is not everything: u32 VM, u32 vCPU (all ones: any), u32 N (every Nth exit that passes
 * all else), u32 number of reasons R; then for RIP, port, MSR and CPUID leaf u64 first and u64 last (0 and all ones: any);
 * then R u32 exit reasons (none: any).
 */
export const TRACE_FRAME_FILTER: u32 = 6;
export const TRACE_FILTER_RANGES: u32 = 16;
export const TRACE_FILTER_REASONS: u32 = 80;

export const TRACE_BACKEND_VMX: u32 = 1;
export const TRACE_BACKEND_SVM: u32 = 2;

// --- one exit record in the ring -------------------------------------------------------------------------------------------
//
//   offset  0x00 tscIn      0x08 tscOut     0x10 rip        0x18 qualification   0x20 info      0x28 gpa
//           0x30 rax        0x38 rcx        0x40 rdx        0x48 detail
//           0x50 reason u32, kind u8, outcome u8, vm u8, vcpu u8
//           0x58 instruction bytes 0..7     0x60 instruction bytes 8..14, length u8 in the last byte
//
// tscIn: host TSC right after the exit; tscOut: right before the next entry; both less the ticks spent on recording
// before. detail: port | size << 16 | flags << 24 for EXIT_IO; the MSR; the control register
// | access << 8 | register << 16; vector | error code << 32.

export const RECORD_BYTES: u32 = 0x68;
export const RECORD_TSC_IN: u32 = 0x00;
export const RECORD_TSC_OUT: u32 = 0x08;
export const RECORD_RIP: u32 = 0x10;
export const RECORD_QUALIFICATION: u32 = 0x18;
export const RECORD_INFO: u32 = 0x20;
export const RECORD_GPA: u32 = 0x28;
export const RECORD_RAX: u32 = 0x30;
export const RECORD_RCX: u32 = 0x38;
export const RECORD_RDX: u32 = 0x40;
export const RECORD_DETAIL: u32 = 0x48;
export const RECORD_REASON: u32 = 0x50;
export const RECORD_KIND: u32 = 0x54;
export const RECORD_OUTCOME: u32 = 0x55;
export const RECORD_VM: u32 = 0x56;
export const RECORD_VCPU: u32 = 0x57;
export const RECORD_BYTES_LOW: u32 = 0x58;
export const RECORD_BYTES_HIGH: u32 = 0x60;

// --- one exit record in a frame ----------------------------------------------------------------------------------------------
//
// A u16 mask, then for each set bit n, lowest first, word n of the ring record (offset 8 n) as an unsigned LEB128 number:
// word 0 as tscIn - previous tscOut, word 1 as tscOut - tscIn, every other word as (word XOR the previous record's word).
// A clear bit means the number is 0. "Previous" is the record before in the same frame, all zeros for the first.

export const RECORD_WORDS: u32 = 13;
/** Longest encoding of one record: the mask and ten bytes a word. */
export const RECORD_MAX_ENCODED: u32 = 2 + 13 * 10;
