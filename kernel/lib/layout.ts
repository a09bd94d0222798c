// Reading the boot layout (kernel/abi/layout.ts).
import { boot_layout, phys_load64 } from "../arch/intrinsics";

/** The word at byte offset `word` (LAYOUT_*). */
export function bootLayout(word: u32): u64 {
  return phys_load64(boot_layout() + word);
}
