// Why a virtual machine or the hypervisor stopped, as numbers that leave the machine (isa-debug-exit, the command line's
// own exit status) and as the words of the status line. Valid for asc and for tsc.

/** The guest powered off (ACPI S5). */
export const STATUS_POWEROFF: u32 = 0;
/** The guest asked for a reset and the VM was told not to restart. */
export const STATUS_RESET: u32 = 10;
/** The guest's processor shut down: triple fault. */
export const STATUS_TRIPLE_FAULT: u32 = 11;
/** The guest reported a kernel panic (pvpanic). */
export const STATUS_GUEST_PANIC: u32 = 12;
/** The guest halted with interrupts off: nothing can wake it. */
export const STATUS_DEAD_HALT: u32 = 13;
/** An exit that the hypervisor does not handle, or guest state that it refuses to run. */
export const STATUS_UNHANDLED_EXIT: u32 = 14;
/** VM entry failed: the guest state violates a rule that the log names. */
export const STATUS_ENTRY_FAILURE: u32 = 15;
/** The VM could not be built: bad kernel image, memory too small, initrd too large … */
export const STATUS_BAD_VM: u32 = 16;
/** The machine lacks what the hypervisor needs; the log names it. */
export const STATUS_UNSUPPORTED: u32 = 17;
/** The hypervisor itself failed: assertion, trap or exception; the log holds a stack trace. */
export const STATUS_HYPERVISOR_BUG: u32 = 18;
/** The computer ran out of memory for what the VM needed. */
export const STATUS_NO_MEMORY: u32 = 19;
/**
 * Status of a VM whose guest wrote `value` to its debug-exit port: QEMU's isa-debug-exit semantics, so that test kernels
 * written for QEMU see the same exit status. The status line's reason is `debug-exit`, which tells it from the others.
 */
export function debugExitStatus(value: u32): u32 {
  return ((value << 1) | 1) & 0xff;
}

/** The word for a status (STATUS_*) in the status line. */
export function statusReason(status: u32): string {
  switch (status) {
    case STATUS_POWEROFF:
      return "poweroff";
    case STATUS_RESET:
      return "reset";
    case STATUS_TRIPLE_FAULT:
      return "triple-fault";
    case STATUS_GUEST_PANIC:
      return "guest-panic";
    case STATUS_DEAD_HALT:
      return "dead-halt";
    case STATUS_UNHANDLED_EXIT:
      return "unhandled-exit";
    case STATUS_ENTRY_FAILURE:
      return "entry-failure";
    case STATUS_BAD_VM:
      return "bad-vm";
    case STATUS_UNSUPPORTED:
      return "unsupported";
    case STATUS_HYPERVISOR_BUG:
      return "hypervisor-bug";
    case STATUS_NO_MEMORY:
      return "no-memory";
    default:
      return "unknown";
  }
}
