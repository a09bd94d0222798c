/** Where generated code runs: what differs between the hypervisor's image and a Linux test process. */
export interface Target {
  readonly name: "kernel" | "linux";
  /** Segment override of accesses to linear memory: none when it starts at virtual address 0. */
  readonly segment: "" | "gs";
  /**
   * The first 4 KiB of linear memory are never mapped, so an address that wraps around below them
   * faults like one beyond the end.
   */
  readonly nullPage: boolean;
  /** Size of linear memory never changes: memory.grow fails, memory.size is a constant. */
  readonly fixedMemory: boolean;
  /** Initial memory is packed (linear-image.ts), for start code to unpack. */
  readonly sparseMemory: boolean;
  /** Modules are linked with others: their exports are visible, and imports are of other modules, not only intrinsics. */
  readonly linked: boolean;
  /** How many general registers allocation may use: tests take away some, to make spills common. */
  readonly registers: number;
}

/** All but the stack pointer. */
const ALL_REGISTERS = 15;

export const KERNEL: Target = {
  name: "kernel",
  segment: "",
  nullPage: true,
  fixedMemory: true,
  sparseMemory: true,
  linked: false,
  registers: ALL_REGISTERS,
};
export const LINUX: Target = {
  name: "linux",
  segment: "gs",
  nullPage: false,
  fixedMemory: false,
  sparseMemory: false,
  linked: true,
  registers: ALL_REGISTERS,
};

export const NULL_PAGE_BYTES = 4096;
export const WASM_PAGE_BYTES = 65_536;

/** Virtual base of the direct map of physical memory, also held in the GS base (kernel target). */
export const DIRECT_MAP_BASE = 0xffff_8000_0000_0000n;
