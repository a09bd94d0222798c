// A recording: what the hypervisor sends over its second serial port while it records (frames as in kernel/abi/trace.ts), and
// what is in the log. Valid for asc and for tsc. All integers are little-endian.
//
// A recording is a row of windows. A window is the hypervisor's whole state at one moment between an exit and the next entry,
// and a log of all that its code asked the processor from then on, through kernel/arch/intrinsics.ts, and was told.

// --- frame types, beside those of a trace ---------------------------------------------------------------------------------
/**
 * Begins a window. Eleven u64: number of the next exit (the first of a run is 0), linear address of the vCPU, linear address of
 * the CPU's structure (`cpu_base`), `boot_layout`, bytes of linear memory, linear address and bytes of the recorder's own
 * state, TSC frequency (Hz), TSC, backend (TRACE_BACKEND_*), number of WebAssembly globals.
 */
export const RECORDING_FRAME_WINDOW: u32 = 16;
/** Linear memory: u32 address, then its bytes. What no frame of the window covers is zero. */
export const RECORDING_FRAME_MEMORY: u32 = 17;
/** WebAssembly globals: u32 index of the first, u32 0, then a u64 each. */
export const RECORDING_FRAME_GLOBALS: u32 = 18;
/** The next bytes of the log. */
export const RECORDING_FRAME_LOG: u32 = 19;

/** In a file only, first: JSON about the recording (tools/replay/file.ts). */
export const RECORDING_FRAME_FILE: u32 = 20;
/** In a file only, next: the WebAssembly module and its source map, deflated, in pieces. */
export const RECORDING_FRAME_MODULE: u32 = 21;

/** Words of a window's first frame. */
export const WINDOW_WORDS: u32 = 11;

// --- the log --------------------------------------------------------------------------------------------------------------
//
// A row of events. Each is one byte that says what it is, then numbers in unsigned LEB128. An intrinsic's event has its
// arguments, its result if it has one, and what it wrote to linear memory (or read there, if it writes physical memory). That of
// an entry has its arguments, the vCPU's head before, its result, and the head after the exit; a head is a number with a bit for
// each word that is not as the log last had it (in the beginning: as in the window's memory), lowest first, then these words.

/** The handling of an exit is over: its outcome (kernel/vcpu/outcome.ts), and 1 if the guest is to be entered again. */
export const EVENT_EXIT_HANDLED: u32 = 0xf0;
/** The processor took an interrupt: its vector. What its handler did follows, up to EVENT_INTERRUPT_DONE. */
export const EVENT_INTERRUPT: u32 = 0xf1;
export const EVENT_INTERRUPT_DONE: u32 = 0xf2;
/** The intrinsic that let interrupts in has returned. */
export const EVENT_WAIT_DONE: u32 = 0xf3;
/** The VM has stopped, or is to be reset: the window's end. */
export const EVENT_RUN_ENDED: u32 = 0xf4;
/** As many exits are recorded as were asked for. */
export const EVENT_LIMIT: u32 = 0xf5;
/** The next window follows at once. */
export const EVENT_NEXT_WINDOW: u32 = 0xf6;
/** The hypervisor stops the machine: its status (kernel/abi/status.ts). */
export const EVENT_MACHINE_STOPPED: u32 = 0xf7;
/** An exception in the hypervisor itself: its vector. */
export const EVENT_EXCEPTION: u32 = 0xf8;

/** u64 words of the vCPU's head that entry and exit write (kernel/vcpu/vcpu.ts): RAX to `hostVmcb`. */
export const HEAD_WORDS: u32 = 21;
/** The one that the entry code fills with the TSC before the entry. */
export const HEAD_TSC_ENTRY: u32 = 17;
