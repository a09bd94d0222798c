// What every view of a trace shares: the choice of exits, the count of what is missing, and the reading itself.
import { statSync } from "node:fs";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { describeFilters } from "./filter.ts";
import type { TraceError } from "./frames.ts";
import { EnoughRead, type RecordedFilter, readTrace, type TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";

/** Which exits a view shows. */
export interface Selection {
  vm?: number;
  vcpu?: number;
  /** Number of the first exit, counted over the whole file. */
  from: number;
  /** At most this many. */
  limit: number;
}

/** Turns exits into something to look at. Records are reused: copy what must last. */
export interface View {
  start?(start: TraceStart): void;
  exit(record: ExitRecord, index: number, start: TraceStart): void;
  lost?(records: number): void;
  /** What the trace holds from here on, when that may not be every exit. */
  filter?(filter: RecordedFilter): void;
  /** Awaited between pieces of the file. */
  pause?(): Promise<void>;
}

/** How a trace ended, for the warnings below a view. */
export interface TraceEnd {
  start?: TraceStart;
  /** Exits in the file, selected or not, as far as it was read. */
  exits: number;
  shown: number;
  lost: number;
  /** What the hypervisor was told to record, in order; empty: everything. */
  filters: RecordedFilter[];
  /** Ticks that the hypervisor spent on recording; no exit's time includes them. */
  overhead: number;
  /** The frame that ends a recording was there, or reading ended early because a view had enough. */
  complete: boolean;
  /** The run was ended from outside. */
  cut: boolean;
  error: TraceError | null;
}

/** Reads the trace at `path` through a view. @throws UserError when the file cannot be opened. */
export async function analyse(
  path: string,
  selection: Selection,
  view: View,
  progress: (fraction: number) => void = () => {},
): Promise<TraceEnd> {
  const size = sizeOf(path);
  const end: TraceEnd = {
    exits: 0,
    shown: 0,
    lost: 0,
    filters: [],
    overhead: 0,
    complete: false,
    cut: false,
    error: null,
  };
  const overheads: number[] = [];
  end.error = await readTrace(
    path,
    {
      start(start) {
        end.start = start;
        view.start?.(start);
      },
      exit(record) {
        show(record, selection, view, end);
      },
      lost(_cpu, records) {
        end.lost += records;
        view.lost?.(records);
      },
      filter(filter) {
        end.filters.push(filter);
        view.filter?.(filter);
      },
      overhead(cpu, ticks) {
        overheads[cpu] = ticks;
      },
      end() {
        end.complete = true;
      },
      cut() {
        end.cut = true;
      },
    },
    async (bytes) => {
      progress(size === 0 ? 1 : bytes / size);
      await view.pause?.();
    },
  );
  end.overhead = overheads.reduce((sum, ticks) => sum + ticks, 0);
  return end;
}

function show(record: ExitRecord, selection: Selection, view: View, end: TraceEnd): void {
  const index = end.exits++;
  if (index < selection.from) return;
  if (selection.vm !== undefined && record.vm !== selection.vm) return;
  if (selection.vcpu !== undefined && record.vcpu !== selection.vcpu) return;
  view.exit(record, index, end.start as TraceStart);
  if (++end.shown < selection.limit) return;
  end.complete = true;
  throw new EnoughRead();
}

function sizeOf(path: string): number {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new UserError(`${path} is a directory; give a file that --trace wrote.`);
    return stat.size;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: cannot read this file: ${systemErrorText(error)}.`);
  }
}

/** Lines that say what a view could not show; empty for a whole trace. */
export function describeGaps(path: string, end: TraceEnd): string[] {
  const lines: string[] = [];
  const filtered = end.start === undefined ? undefined : describeFilters(end.filters, end.start.backend);
  if (filtered !== undefined) lines.push(`${path}: ${filtered}`);
  if (end.lost > 0) {
    lines.push(
      `${path}: ${end.lost} exits were lost while recording; counts and gaps in time are too small by them.`,
    );
  }
  if (end.error !== null) {
    lines.push(
      `${path}: ${end.error.message}.${end.exits === 0 ? "" : ` The ${end.exits} exits before it are shown.`}`,
    );
  } else if (end.cut) {
    lines.push(`${path}: the run was ended from outside; everything until then is here.`);
  } else if (!end.complete) {
    lines.push(`${path}: the guest still runs: what exited so far is shown.`);
  }
  return lines;
}
