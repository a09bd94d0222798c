// A boot's exits, counted by phase and reason, and within each phase by what was accessed.
import { EXIT_HLT } from "../../kernel/abi/exits.ts";
import { detailKey } from "../trace/events.ts";
import { className, reasonName } from "../trace/names.ts";
import { readTrace, type TraceStart } from "../trace/reader.ts";
import type { ExitRecord } from "../trace/record.ts";
import { Statistics } from "../trace/statistics.ts";
import { BootPhases, PHASES } from "./phases.ts";

/** One reason's exits. */
export interface ReasonCounts {
  name: string;
  /** The neutral classes: AMD-V has one reason for RDMSR and WRMSR. */
  classes: Set<string>;
  /** By phase. */
  counts: number[];
  /** TSC ticks, in all. */
  ticks: number;
}

export interface PhaseCounts {
  exits: number;
  /** TSC ticks: from the phase's first exit to the next phase's, in the hypervisor without halts, and in halts. */
  duration: number;
  handling: number;
  halted: number;
  details: Statistics;
}

export interface BootCounts {
  start: TraceStart;
  exits: number;
  lost: number;
  /** Ticks that recording took; no exit's time and no phase's handling contains them. */
  overhead: number;
  reasons: ReasonCounts[];
  classes: Map<string, number>;
  phases: PhaseCounts[];
}

/** Counts the boot in the trace at `path`. @throws Error when the trace is damaged, incomplete, or not of such a boot. */
export async function countBoot(path: string): Promise<BootCounts> {
  const counter = new BootCounter();
  let complete = false;
  const error = await readTrace(path, {
    start: (start) => counter.begin(start),
    exit: (record) => counter.add(record),
    lost: (_cpu, records) => {
      counter.lost += records;
    },
    overhead: (_cpu, ticks) => {
      counter.overhead = ticks;
    },
    end: () => {
      complete = true;
    },
  });
  if (error !== null) throw new Error(`${path}: ${error.message}`);
  if (!complete) throw new Error(`${path}: the trace has no end: the run was ended from outside`);
  return counter.result();
}

class BootCounter {
  lost = 0;
  overhead = 0;
  private start: TraceStart | undefined;
  private exits = 0;
  private entered = 0;
  private readonly follower = new BootPhases();
  private readonly reasons = new Map<number, ReasonCounts>();
  private readonly classes = new Map<string, number>();
  private readonly begins: number[] = [];
  private readonly phases: PhaseCounts[] = PHASES.map(() => ({
    exits: 0,
    duration: 0,
    handling: 0,
    halted: 0,
    details: new Statistics(),
  }));

  begin(start: TraceStart): void {
    this.start = start;
  }

  add(record: ExitRecord): void {
    const { backend } = this.start as TraceStart;
    const index = this.follower.take(record);
    const phase = this.phases[index] as PhaseCounts;
    const ticks = record.tscOut - record.tscIn;
    this.begins[index] ??= record.tscIn;
    this.entered = record.tscOut;
    this.exits++;
    phase.exits++;
    if (record.kind === EXIT_HLT) phase.halted += ticks;
    else phase.handling += ticks;
    this.addReason(record, index, ticks);
    const detail = detailKey(record, backend);
    if (detail !== undefined) phase.details.add(detail, ticks);
  }

  result(): BootCounts {
    const missing = PHASES[this.begins.length];
    if (this.start === undefined || missing !== undefined) {
      throw new Error(
        `the trace is not of a boot that the study knows: phase "${missing?.name}" never began`,
      );
    }
    for (const [index, phase] of this.phases.entries()) {
      phase.duration = (this.begins[index + 1] ?? this.entered) - (this.begins[index] as number);
    }
    const reasons = [...this.reasons.values()].sort((a, b) => total(b) - total(a));
    const { start, exits, lost, overhead, classes, phases } = this;
    return { start, exits, lost, overhead, reasons, classes, phases };
  }

  private addReason(record: ExitRecord, phase: number, ticks: number): void {
    const { backend } = this.start as TraceStart;
    const kind = className(record.kind);
    let reason = this.reasons.get(record.reason);
    if (reason === undefined) {
      const counts = PHASES.map(() => 0);
      reason = { name: reasonName(backend, record.reason), classes: new Set(), counts, ticks: 0 };
      this.reasons.set(record.reason, reason);
    }
    reason.counts[phase] = (reason.counts[phase] as number) + 1;
    reason.ticks += ticks;
    reason.classes.add(kind);
    this.classes.set(kind, (this.classes.get(kind) ?? 0) + 1);
  }
}

/** All exits of one reason. */
export function total(reason: ReasonCounts): number {
  return reason.counts.reduce((sum, count) => sum + count, 0);
}
