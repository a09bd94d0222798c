// How a run ended, as the command line's exit status. The hypervisor's own statuses are in kernel/abi/status.ts; it says
// them on its log port, in lines made for programs.
import {
  STATUS_BAD_VM,
  STATUS_DEAD_HALT,
  STATUS_ENTRY_FAILURE,
  STATUS_GUEST_PANIC,
  STATUS_HYPERVISOR_BUG,
  STATUS_NO_MEMORY,
  STATUS_POWEROFF,
  STATUS_RESET,
  STATUS_TRIPLE_FAULT,
  STATUS_UNHANDLED_EXIT,
  STATUS_UNSUPPORTED,
} from "../../kernel/abi/status.ts";

/** `--timeout` ran out; as timeout(1). */
export const EXIT_TIMEOUT = 124;
/** Typevisor could not do what was asked: wrong usage, files, emulators; as `docker run`. */
export const EXIT_FAILED = 125;
/** A signal ended the run: this plus its number; as shells. */
export const EXIT_SIGNAL = 128;

/** The hypervisor's statuses in words; also the table of `typevisor run --help`. */
export const STATUS_WORDS: [status: number, words: string][] = [
  [STATUS_POWEROFF, "the guest powered off"],
  [STATUS_RESET, "the guest asked for a reset, and was not to be restarted"],
  [STATUS_TRIPLE_FAULT, "the guest's processor shut down (triple fault)"],
  [STATUS_GUEST_PANIC, "the guest's kernel panicked"],
  [STATUS_DEAD_HALT, "the guest halted with interrupts off"],
  [STATUS_UNHANDLED_EXIT, "the guest did something that Typevisor does not handle"],
  [STATUS_ENTRY_FAILURE, "VM entry failed; the log names the violated rule"],
  [STATUS_BAD_VM, "the VM could not be built: kernel, initrd or memory"],
  [STATUS_UNSUPPORTED, "the machine lacks what Typevisor needs; the log names it"],
  [STATUS_HYPERVISOR_BUG, "a bug in Typevisor; the log holds a stack trace"],
  [STATUS_NO_MEMORY, "the machine ran out of memory for what the VM needed"],
];

/** Statuses after which the end of the log is worth showing unasked. */
export function needsLog(status: number): boolean {
  return status >= STATUS_TRIPLE_FAULT && status <= STATUS_NO_MEMORY;
}

const STOPPED_LINE = /^typevisor: (vm\d+): stopped: (.+) \(status (\d+)\)$/;
const HALT_LINE = /^typevisor: halt \(status (\d+)\)$/;

/** What the hypervisor's log says about the end. */
export class HypervisorStatus {
  /** The reason that the first VM stopped for, in the hypervisor's words. */
  reason: string | undefined;
  /** The hypervisor's final status. */
  final: number | undefined;

  /** Takes one line of the log. */
  take(line: string): void {
    const stopped = STOPPED_LINE.exec(line);
    if (stopped) {
      this.reason ??= `${stopped[1]}: ${stopped[2]}`;
      this.final = Number(stopped[3]);
    }
    const halt = HALT_LINE.exec(line);
    if (halt) this.final = Number(halt[1]);
  }
}
