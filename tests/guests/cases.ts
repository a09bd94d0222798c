// The guests of this folder that need nothing but a machine, and how each must end.
import { STATUS_DEAD_HALT, STATUS_RESET, STATUS_TRIPLE_FAULT } from "../../kernel/abi/status.ts";

/** Status of a guest that wrote 0 to the debug-exit port: QEMU's isa-debug-exit makes it odd. */
export const PASSED = 1;

/** Guests that return from `main` when every check has passed. */
export const SELF_CHECKING = [
  "breakpoints",
  "control",
  "cpuid",
  "exceptions",
  "features",
  "fpu",
  "interrupts",
  "mmio",
  "mmio64",
  "mmioforms",
  "msr",
  "nmi",
  "outside",
  "paging",
  "ports",
  "realmode",
  "remap",
  "selfmodifying",
  "task",
  "timer",
  "undefined",
];

/** Guests that end their VM otherwise, with what they do and the VM's status. */
export const ENDING: [name: string, what: string, status: number][] = [
  ["triplefault", "triple fault", STATUS_TRIPLE_FAULT],
  ["outsideidt", "an IDT that is not RAM", STATUS_TRIPLE_FAULT],
  ["outsidetables", "page tables that are not RAM", STATUS_TRIPLE_FAULT],
  ["deadhalt", "halt with interrupts off", STATUS_DEAD_HALT],
  ["keyboardreset", "reset", STATUS_RESET],
  ["reset", "reset", STATUS_RESET],
];

/** Guests that reset their VM, and pass when they have been started again. */
export const RESTARTING: [name: string, what: string][] = [
  ["reset", "port CF9"],
  ["resets", "INIT, a triple fault, a jump to the reset vector"],
];
