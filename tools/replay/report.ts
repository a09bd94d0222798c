// What `typevisor replay` prints.
import { RECORD_TSC_IN } from "../../kernel/abi/trace.ts";
import { formatSize } from "../lib/size.ts";
import { describeLine } from "../trace/describe.ts";
import { explain } from "../trace/explain.ts";
import type { TraceStart } from "../trace/reader.ts";
import type { Divergence } from "./divergence.ts";
import type { Recording } from "./reader.ts";
import { decodeRecord, wordsOf } from "./records.ts";
import type { Replayed, ReplayWatcher, WindowEnd } from "./replay.ts";

const ENDS: Record<WindowEnd, string> = {
  "next window": "The recording ends with a window that is not in the file.",
  stopped: "At its end the VM stopped, or was to be reset.",
  limit: "It ends where --record-exits said.",
  "machine stopped": "At its end the hypervisor reported a failure of its own and stopped the machine.",
  exception:
    "At its end the processor raised an exception in the hypervisor itself; WebAssembly has no such thing.",
  "cut off": "It breaks off there: the run was ended from outside.",
};

export interface Range {
  from: number;
  to: number;
}

/** Prints exits of a range, when their time of entry is known. */
export class ExitPrinter implements ReplayWatcher {
  private held?: { number: number; words: bigint[]; intrinsics: number };
  private readonly start: TraceStart;

  /** @param full everything about each exit, else one line. */
  constructor(
    recording: Recording,
    private readonly range: Range,
    private readonly full: boolean,
    private readonly print: (line: string) => void,
  ) {
    const [first] = recording.windows;
    this.start = {
      tscHz: first?.tscHz ?? 1,
      // Set at the first exit: sending the state took time before.
      tsc: 0,
      backend: first?.backend ?? "svm",
      cpus: 1,
      vms: 1,
    };
  }

  handled(number: number, record: DataView, intrinsics: number): void {
    this.flush();
    this.start.tsc ||= Number(record.getBigUint64(RECORD_TSC_IN, true));
    if (number < this.range.from || number > this.range.to) return;
    this.held = { number, words: wordsOf(record), intrinsics };
  }

  entered(tsc: bigint): void {
    this.flush(tsc);
  }

  /** Prints what waits. */
  flush(tscOut?: bigint): void {
    const { held } = this;
    if (held === undefined) return;
    this.held = undefined;
    const record = decodeRecord(held.words, tscOut);
    if (this.full) for (const line of explain(held.number, record, this.start)) this.print(line);
    else this.print(`${describeLine(held.number, record, this.start)} ${held.intrinsics} intrinsics`);
  }
}

/** The lines at the end. */
export function summary(recording: Recording, replayed: Replayed): string[] {
  const { exits, intrinsics, windows, divergence, open } = replayed;
  const first = recording.windows[0]?.firstExit ?? 0;
  const log = recording.windows.slice(0, windows).reduce((sum, window) => sum + window.log.length, 0);
  const backend = recording.windows[0]?.backend === "vmx" ? "VT-x" : "AMD-V";
  const lines = [
    `${exits} exits (${first} to ${first + exits - 1}) of ${backend} replayed in ${windows} window${windows === 1 ? "" : "s"}: ` +
      `${intrinsics} intrinsics, ${formatSize(Math.ceil(log / 1024) * 1024)} of log.`,
  ];
  if (divergence !== undefined) return lines;
  lines.push("Every outcome is identical, and so is everything that the code asked and wrote.");
  if (replayed.compared > 0) {
    lines.push(
      `The hypervisor's whole state was compared ${times(replayed.compared)} on the way, and is the same.`,
    );
  }
  lines.push(ENDS[replayed.end] + (open === undefined ? "" : ` It was handling exit ${open}.`));
  return lines;
}

/** A difference, for people. */
export function describeDivergence(divergence: Divergence, frames: string[]): string[] {
  return [
    `Exit ${divergence.exit} is handled differently than in the recording.`,
    `  ${divergence.what}`,
    `    recorded  ${divergence.expected}`,
    `    replayed  ${divergence.actual}`,
    ...frames.map((frame) => `    at ${frame}`),
  ];
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
