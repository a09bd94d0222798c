// A trace while it is being recorded, like top: follows the file and shows what the guest does now, per second of its time.
import { openSync, readSync } from "node:fs";
import { systemErrorText, UserError } from "../lib/user-error.ts";
import { describeFilters } from "./filter.ts";
import { FrameSplitter, TraceError } from "./frames.ts";
import { reasonName } from "./names.ts";
import { FrameDecoder, type RecordedFilter, type TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";

const POLL_MILLISECONDS = 250;
const PIECE_BYTES = 1 << 20;
const BAR_WIDTH = 30;
const CLEAR = "\x1b[H\x1b[J";
const OTHER_SCREEN = "\x1b[?1049h\x1b[?25l";
const USUAL_SCREEN = "\x1b[?25h\x1b[?1049l";

interface Row {
  total: number;
  /** Exits in the second of the trace that is running, and in the one before. */
  running: number;
  before: number;
  /** Ticks in all. */
  time: number;
}

/** What has been seen so far, by reason. */
export class LiveTable {
  private readonly rows = new Map<string, Row>();
  private second = 0;
  private exits = 0;
  private lost = 0;
  private readonly filters: RecordedFilter[] = [];
  private start: TraceStart | undefined;
  ended = false;

  readonly visitor = {
    start: (start: TraceStart) => {
      this.start = start;
    },
    exit: (record: ExitRecord) => this.add(record, this.start as TraceStart),
    lost: (_cpu: number, records: number) => {
      this.lost += records;
    },
    filter: (filter: RecordedFilter) => {
      this.filters.push(filter);
    },
    end: () => {
      this.ended = true;
    },
    cut: () => {
      this.ended = true;
    },
  };

  private add(record: ExitRecord, start: TraceStart): void {
    const second = Math.floor((record.tscIn - start.tsc) / start.tscHz);
    if (second > this.second) this.turn(second);
    const name = reasonName(start.backend, record.reason);
    let row = this.rows.get(name);
    if (row === undefined) {
      row = { total: 0, running: 0, before: 0, time: 0 };
      this.rows.set(name, row);
    }
    row.total++;
    row.running++;
    row.time += record.tscOut - record.tscIn;
    this.exits++;
  }

  private turn(second: number): void {
    for (const row of this.rows.values()) {
      row.before = second === this.second + 1 ? row.running : 0;
      row.running = 0;
    }
    this.second = second;
  }

  /** The screen's lines, at most `height`. */
  lines(title: string, height: number): string[] {
    if (this.start === undefined) return [`${title}: waiting for the first exits …`];
    const { tscHz, backend } = this.start;
    const rows = [...this.rows].sort(([, a], [, b]) => b.before - a.before || b.total - a.total);
    const most = Math.max(...rows.map(([, row]) => row.before), 1);
    const rate = rows.reduce((sum, [, row]) => sum + row.before, 0);
    const lost = this.lost === 0 ? "" : `, ${this.lost} lost`;
    const head = `${title} (${backend}): second ${this.second}, ${rate} exits/s, ${this.exits} in all${lost}`;
    const columns = `${"".padEnd(24)}${"exits/s".padStart(10)}${"in all".padStart(12)}${"average".padStart(12)}`;
    const body = rows.map(([name, row]) => {
      const average = `${((row.time * 1e6) / row.total / tscHz).toFixed(2)}us`;
      const bar = "#".repeat(Math.round((BAR_WIDTH * row.before) / most));
      const numbers = `${String(row.before).padStart(10)}${String(row.total).padStart(12)}${average.padStart(12)}`;
      return `${name.padEnd(24)}${numbers} ${bar}`.trimEnd();
    });
    const filtered = describeFilters(this.filters, backend);
    return [head, ...(filtered === undefined ? [] : [filtered]), "", columns, ...body].slice(0, height);
  }
}

/** Follows the trace at `path` until its end or Ctrl-C, on the terminal's other screen; its last state stays behind. */
export async function followTrace(path: string): Promise<TraceError | null> {
  if (!process.stdout.isTTY)
    throw new UserError("--live needs a terminal; without one, omit it for the table.");
  const table = new LiveTable();
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  process.once("SIGINT", stop);
  const read = follower(path, table);
  process.stdout.write(OTHER_SCREEN);
  try {
    while (!stopped && !table.ended) {
      const more = read();
      process.stdout.write(CLEAR + table.lines(path, process.stdout.rows - 1).join("\n"));
      // Between the pieces of a long file, too, for Ctrl-C.
      await new Promise((resolve) => setTimeout(resolve, more ? 0 : POLL_MILLISECONDS));
    }
    return null;
  } catch (error) {
    if (error instanceof TraceError) return error;
    throw error;
  } finally {
    process.off("SIGINT", stop);
    process.stdout.write(`${USUAL_SCREEN}${table.lines(path, process.stdout.rows - 1).join("\n")}\n`);
  }
}

/** A function that reads the next piece of the file into the table; false: there is none yet. */
function follower(path: string, table: LiveTable): () => boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw new UserError(`${path}: cannot read this file: ${systemErrorText(error)}.`);
  }
  const splitter = new FrameSplitter();
  const decoder = new FrameDecoder(table.visitor);
  return () => {
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const length = readSync(descriptor, piece, 0, PIECE_BYTES, null);
    for (const frame of splitter.push(piece.subarray(0, length))) decoder.frame(frame);
    return length > 0;
  };
}
