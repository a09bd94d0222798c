// The words in which callers speak to the nested tables (kernel/mm/nested.ts), whatever the entries' encoding.

/** What the guest may do with a page. Write and execute need read. */
export const NESTED_READ: u32 = 1 << 0;
export const NESTED_WRITE: u32 = 1 << 1;
export const NESTED_EXECUTE: u32 = 1 << 2;
export const NESTED_ALL: u32 = NESTED_READ | NESTED_WRITE | NESTED_EXECUTE;

// Memory types, as the SDM numbers them ("Memory Types and Their Properties").
/** Uncacheable: device registers. */
export const MEMORY_UC: u32 = 0;
/** Write-through. */
export const MEMORY_WT: u32 = 4;
/** Write-back: RAM. */
export const MEMORY_WB: u32 = 6;
