// What a walk of page tables, the guest's or the nested ones, leaves behind of each entry that it has used.

@unmanaged
export class WalkEntry {
  /** Host-physical address of the entry; NO_HPA: the processor holds it, not memory. */
  hpa: u64;
  value: u64;
}
