// Boot-time storage for structures whose number is known only at boot (VMs, vCPUs, devices). Bump allocation from static
// linear memory, zeroed, never freed; sealed before the first guest runs, so that the exit path cannot allocate.

/** Bytes of linear memory set aside. */
const ARENA_BYTES: usize = 3 << 20;

const arenaStart: usize = memory.data(ARENA_BYTES, 64);
let used: usize = 0;
let sealed: bool = false;

/**
 * Reserves `size` zeroed bytes of linear memory at a multiple of `align` (a power of two up to 64).
 * Panics when the arena is full or sealed: both are bugs, since every limit is static.
 */
export function arenaAlloc(size: usize, align: usize): usize {
  assert(!sealed, "arena: allocation after boot");
  assert(align != 0 && align <= 64 && (align & (align - 1)) == 0, "arena: alignment");
  const start = (used + align - 1) & ~(align - 1);
  assert(size <= ARENA_BYTES && start <= ARENA_BYTES - size, "arena: full");
  used = start + size;
  return arenaStart + start;
}

/** A zeroed structure of class T from the arena. */
export function arenaNew<T>(): T {
  return changetype<T>(arenaAlloc(offsetof<T>(), 16));
}

/** A zeroed structure of class T with `tail` zeroed bytes right behind it (tail.ts): for classes that end in an array. */
export function arenaNewWithTail<T>(tail: usize): T {
  return changetype<T>(arenaAlloc(offsetof<T>() + tail, 16));
}

/** Ends boot-time allocation: any later `arenaAlloc` panics. */
export function arenaSeal(): void {
  sealed = true;
}

/** Bytes handed out so far. */
export function arenaUsed(): usize {
  return used;
}
