// Addresses. Host-physical (HPA) and guest-physical (GPA) addresses are u64; linear addresses of the hypervisor's own
// memory are usize (32 bits). No GPA is ever used as an HPA without passing kernel/mm/guestmem.ts.

export const PAGE_SHIFT: u64 = 12;
export const PAGE_BYTES: u64 = 1 << PAGE_SHIFT;
export const PAGE_MASK: u64 = PAGE_BYTES - 1;
export const LARGE_PAGE_BYTES: u64 = 2 << 20;
export const HUGE_PAGE_BYTES: u64 = 1 << 30;

/** "There is no such host-physical address": allocation failed, or the guest-physical range is not RAM. */
export const NO_HPA: u64 = U64.MAX_VALUE;
