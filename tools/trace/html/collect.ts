// Collects an HTML report's numbers while a trace is read, in bounded memory.
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { EXIT_HLT } from "../../../kernel/abi/exits.ts";
import { systemErrorText, UserError } from "../../lib/user-error.ts";
import { describeGaps, type TraceEnd, type View } from "../analysis.ts";
import { hex } from "../describe.ts";
import { reasonName } from "../names.ts";
import type { TraceStart } from "../reader.ts";
import type { ExitRecord } from "../record.ts";
import type { Symbols } from "../symbols.ts";
import type { FinishedView } from "../views.ts";
import { Phases } from "./phases.ts";
import { renderPage } from "./render.ts";
import { BUCKETS_PER_DOUBLING, type HotSpot, LATENCY_BUCKETS, type Report } from "./report.ts";
import { TimeBins } from "./timebins.ts";

const MAX_PLACES = 1 << 16;
const SHOWN_PLACES = 40;

interface Reason {
  count: number;
  time: number;
  latency: number[];
}

interface Place {
  count: number;
  time: number;
  reasons: Map<string, number>;
}

/** Reads into a report and writes it as one self-contained page at the end. */
export function htmlView(
  tracePath: string,
  output: string,
  symbols: Symbols | undefined,
): View & FinishedView {
  const collector = new ReportCollector(symbols);
  return {
    exit: (record, _index, start) => collector.add(record, start),
    async finish(end) {
      const page = await renderPage(collector.report(basename(tracePath), end, describeGaps(tracePath, end)));
      try {
        writeFileSync(output, page);
      } catch (error) {
        throw new UserError(`--html ${output}: cannot write this file: ${systemErrorText(error)}.`);
      }
    },
  };
}

export class ReportCollector {
  private readonly reasons = new Map<string, Reason>();
  private readonly places = new Map<bigint, Place>();
  private readonly bins = new TimeBins();
  private readonly phases = new Phases();
  private placesDropped = 0;
  private exitTime = 0;
  private haltTime = 0;
  private first = Number.POSITIVE_INFINITY;
  private last = 0;

  constructor(private readonly symbols?: Symbols) {}

  add(record: ExitRecord, start: TraceStart): void {
    const name = reasonName(start.backend, record.reason);
    const seconds = (record.tscIn - start.tsc) / start.tscHz;
    const taken = (record.tscOut - record.tscIn) / start.tscHz;
    this.first = Math.min(this.first, seconds);
    this.last = Math.max(this.last, seconds + taken);
    if (record.kind === EXIT_HLT) this.haltTime += taken;
    else this.exitTime += taken;
    this.addReason(name, taken);
    this.addPlace(record.rip, name, taken);
    this.bins.add(name, seconds);
    this.phases.add(record.rip, name, seconds, taken);
  }

  report(title: string, end: TraceEnd, warnings: string[]): Report {
    const reasons = [...this.reasons].sort(([, a], [, b]) => b.count - a.count);
    return {
      title,
      backend: end.start?.backend === "vmx" ? "VT-x" : "AMD-V",
      exits: end.shown,
      lost: end.lost,
      duration: Math.max(this.last - this.first, 0),
      exitTime: this.exitTime,
      haltTime: this.haltTime,
      overheadTime: end.start === undefined ? 0 : end.overhead / end.start.tscHz,
      binSeconds: this.bins.width,
      reasons: reasons.map(([name, reason]) => ({ name, ...reason, bins: this.bins.row(name) })),
      hotSpots: this.hotSpots(),
      hotSpotsDropped: this.placesDropped,
      phases: this.phases.result(),
      warnings,
    };
  }

  private addReason(name: string, taken: number): void {
    let reason = this.reasons.get(name);
    if (reason === undefined) {
      reason = { count: 0, time: 0, latency: new Array(LATENCY_BUCKETS).fill(0) };
      this.reasons.set(name, reason);
    }
    reason.count++;
    reason.time += taken;
    const bucket = Math.min(
      Math.floor(BUCKETS_PER_DOUBLING * Math.log2(Math.max(taken * 1e9, 1))),
      LATENCY_BUCKETS - 1,
    );
    reason.latency[bucket] = (reason.latency[bucket] as number) + 1;
  }

  private addPlace(rip: bigint, reason: string, taken: number): void {
    let place = this.places.get(rip);
    if (place === undefined) {
      if (this.places.size === MAX_PLACES) {
        this.placesDropped++;
        return;
      }
      place = { count: 0, time: 0, reasons: new Map() };
      this.places.set(rip, place);
    }
    place.count++;
    place.time += taken;
    place.reasons.set(reason, (place.reasons.get(reason) ?? 0) + 1);
  }

  private hotSpots(): HotSpot[] {
    const most = [...this.places].sort(([, a], [, b]) => b.count - a.count).slice(0, SHOWN_PLACES);
    return most.map(([rip, { count, time, reasons }]) => {
      const symbol = this.symbols?.find(Number(rip >> 32n), Number(rip & 0xffff_ffffn));
      const place = symbol === undefined ? hex(rip) : `${symbol} (${hex(rip)})`;
      const [reason] = [...reasons].sort(([, a], [, b]) => b - a)[0] as [string, number];
      return { place, count, time, reason };
    });
  }
}
