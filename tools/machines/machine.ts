// What every machine kind is: a thing that can say whether this computer has it, and that boots an image.
import type { Duplex, Readable } from "node:stream";
import type { VmConfig } from "../vm/config.ts";

/** Virtualization extension that a machine offers to the hypervisor. */
export type Backend = "vmx" | "svm";

export interface Probe {
  available: boolean;
  /** Why it is or is not available, as the end of "<machine>: …". */
  reason: string;
  /** What makes it available; absent when nothing can be done about it. */
  advice?: string;
}

/** The date at which a repeatable run begins, UTC. */
export const FIXED_DATE = "2026-01-01T00:00:00Z";

/** Everything a machine needs to know to boot. */
export interface LaunchPlan {
  /** The hypervisor, elf32 multiboot; absent: the first VM's kernel runs on the bare machine, for comparison. */
  image?: string;
  /** `key=value` words of the hypervisor's command line, without those that belong to the machine (`log`, `exit`). */
  hypervisorArgs: string[];
  vms: VmConfig[];
  /** Memory of the whole machine, bytes. */
  memoryBytes: number;
  /** Passed to the emulator as they are. */
  emulatorArgs: string[];
  /** Record exits: the `trace.*` words of the hypervisor's command line, without `trace`; absent: no recording. */
  trace?: string[];
  /** Record what the hypervisor asks of the processor: the `record.*` words, without `record`; absent: no recording. */
  record?: string[];
  /** Let the emulator's clock count instructions. */
  icount: boolean;
  /** Make this run the same as the next: a fixed date, and a clock that counts instructions. */
  repeatable?: boolean;
  /** Private directory for sockets, links and generated files; the machine's working directory. */
  directory: string;
}

export interface MachineExit {
  /** The emulator's own exit status; undefined when a signal ended it. */
  code?: number;
  signal?: NodeJS.Signals;
  /** What the emulator said on its standard error, or in its own log. */
  words: string;
}

export interface RunningMachine {
  /** COM1: the guest's console. */
  console: Duplex;
  /** COM2: the hypervisor's log. */
  log: Readable;
  /** Where the trace comes, if it does not come between the lines of the log. */
  trace?: Readable;
  /** Resolves when the emulator has ended; never rejects. */
  exited: Promise<MachineExit>;
  /** Ends the emulator; returns at once. */
  kill(): void;
}

export interface Machine {
  /** As in `--machine`. */
  name: string;
  /** One line for people. */
  summary: string;
  /** Extensions it can offer; the first is preferred. Empty: it runs no hypervisor. */
  backends(): Backend[];
  probe(): Promise<Probe>;
  launch(plan: LaunchPlan): Promise<RunningMachine>;
}
