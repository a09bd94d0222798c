// What a VM may ask for today; the hypervisor checks again.
import { GIB, MIB } from "../lib/size.ts";

/** Virtual CPUs of one VM. */
export const MAX_VCPUS_PER_VM = 1;
/** Virtual machines of one run. */
export const MAX_VMS = 1;
/** Guest memory, bytes. The upper bound is what the guest's 32-bit PCI hole and 40-bit physical addresses leave simple. */
export const MIN_MEMORY = 1 * MIB;
export const MAX_MEMORY = 512 * GIB;
/** Bytes of a guest kernel's command line with its final zero (Linux on x86: COMMAND_LINE_SIZE). */
export const MAX_COMMAND_LINE = 2048;
