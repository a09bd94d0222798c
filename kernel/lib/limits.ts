// Every static limit of the hypervisor, in one place.

/** Physical CPUs that one hypervisor drives. */
export const MAX_CPUS: u32 = 16;
/** Virtual machines. */
export const MAX_VMS: u32 = 8;
/** Virtual CPUs that the structures of one VM hold, and how many of them the run loop runs: a VM may ask for no more. */
export const MAX_VCPUS_PER_VM: u32 = 16;
export const RUNNABLE_VCPUS_PER_VM: u32 = 1;
/** Ranges in the loader's memory map. */
export const MAX_MEMORY_RANGES: u32 = 64;
/** Pieces of free physical memory that the frame allocator tells apart. */
export const MAX_FREE_RANGES: u32 = 256;
/** Modules that the loader may hand over. */
export const MAX_MODULES: u32 = 64;
/** Bytes of a command line (the hypervisor's or a guest's), with the final zero. */
export const MAX_COMMAND_LINE: u32 = 2048;
/** Bytes of an x86 instruction (SDM and APM: "Instruction Format"). */
export const MAX_INSTRUCTION_BYTES: u32 = 15;
/** Iterations of a REP string instruction done per exit, so that one exit is bounded. */
export const MAX_REP_PER_EXIT: u32 = 4096;
/** Smallest and largest guest memory, bytes. */
export const MIN_GUEST_MEMORY: u64 = 1 << 20;
export const MAX_GUEST_MEMORY: u64 = 1 << 40;
/** Contiguous pieces of guest RAM of one VM. */
export const MAX_RAM_REGIONS: u32 = 4;
/** MMIO ranges on one VM's bus. */
export const MAX_MMIO_RANGES: u32 = 32;
/** Functions (all of function number 0) on one VM's PCI bus 0. */
export const MAX_PCI_SLOTS: u32 = 32;
/** Shortest period that a guest's periodic timers may interrupt at, nanoseconds; shorter ones are stretched to it. */
export const MIN_TIMER_PERIOD_NS: u64 = 50_000;
/** Exit records that the trace ring of one CPU holds; a power of two. */
export const TRACE_RING_RECORDS: u32 = 4096;
/** Bytes of log after which a recording begins a new window (with the hypervisor's whole state), unless told otherwise. */
export const RECORDING_WINDOW_BYTES: u64 = 2 << 20;
/** Payload at which a frame of exit records is closed: small enough that sending one delays the guest little. */
export const TRACE_FRAME_PAYLOAD: u32 = 2048;
/** Bytes of guest memory that one command of the monitor shows. */
export const MONITOR_MAX_BYTES: u64 = 4096;
/** Entries of the second level of a vCPU's counters, how many are looked at for one exit, places of its index: powers of two. */
export const DETAIL_ENTRIES: u32 = 512;
export const DETAIL_WAYS: u32 = 8;
export const DETAIL_INDEX: u32 = 512;
