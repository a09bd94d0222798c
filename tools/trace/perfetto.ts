// A timeline in Chrome's trace event format (JSON), for ui.perfetto.dev and chrome://tracing: one process per VM, one track
// per vCPU whose slices are the guest, each exit by its reason, and waiting in HLT; and the exit rate as a counter. Slices of
// a track follow each other without overlap: times are whole nanoseconds, and each is written once as an end and as a begin.
import { EXIT_HLT } from "../../kernel/abi/exits.ts";
import { RECORD_RIP } from "../../kernel/abi/trace.ts";
import type { View } from "./analysis.ts";
import { writeDetail, writeWord } from "./describe.ts";
import { passesAll } from "./filter.ts";
import { className, outcomeName, reasonName } from "./names.ts";
import { Output } from "./output.ts";
import type { RecordedFilter, TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";
import type { Symbols } from "./symbols.ts";
import type { Text } from "./text.ts";
import type { FinishedView } from "./views.ts";

/** The exit rate is sampled this often, nanoseconds. */
const COUNTER_PERIOD = 10_000_000;

/** Slices that are no exit reason; the last is that between exits of a filtered trace. */
const GUEST = -1;
const HALT = -2;
const UNRECORDED = -3;
/** A damaged trace may have millions of reasons. */
const KEPT_SLICES = 1024;

interface Track {
  /** Its place in the viewer, as members of an event. */
  place: string;
  /** Beginnings of its slices' events, by exit reason or GUEST, HALT, UNRECORDED. */
  slices: Map<number, Buffer>;
  /** Its counter's events up to their time. */
  counter: string;
  /** When the guest was entered, ns; undefined: what happened before is not known. */
  entered?: number;
  /** Exits since the counter was last written, and when that was, ns. */
  exits: number;
  counted: number;
}

export function perfettoView(path: string, symbols: Symbols | undefined): View & FinishedView {
  return new Timeline(new Output(path, "--perfetto"), symbols);
}

/** Events are written by hand, piece by piece: a trace has millions. */
class Timeline implements View, FinishedView {
  private readonly tracks = new Map<number, Track>();
  private readonly text: Text;
  private separator = "";
  private between = GUEST;

  constructor(
    private readonly output: Output,
    private readonly symbols: Symbols | undefined,
  ) {
    this.text = output.text;
    output.line('{"displayTimeUnit":"ns","traceEvents":[');
  }

  exit(record: ExitRecord, index: number, start: TraceStart): void {
    const exit = nanoseconds(record.tscIn, start);
    const entry = nanoseconds(record.tscOut, start);
    const track = this.track(record, start, exit);
    if (track.entered !== undefined && exit > track.entered) {
      this.slice(track, this.between, start, track.entered, exit);
      this.endEvent();
    }
    this.slice(track, record.kind === EXIT_HLT ? HALT : record.reason, start, exit, entry);
    this.args(record, index);
    this.endEvent();
    track.entered = entry;
    this.count(track, exit);
  }

  /** Between the exits around a gap the guest need not have run. */
  lost(): void {
    for (const track of this.tracks.values()) track.entered = undefined;
  }

  filter(filter: RecordedFilter): void {
    this.between = passesAll(filter) ? GUEST : UNRECORDED;
    this.lost();
  }

  pause(): Promise<void> {
    return this.output.ready();
  }

  async finish(): Promise<void> {
    this.output.line("]}");
    await this.output.end();
  }

  /** A complete event but for its arguments and its end. */
  private slice(track: Track, what: number, start: TraceStart, begin: number, end: number): void {
    const { text } = this;
    let head = track.slices.get(what);
    if (head === undefined) {
      head = Buffer.from(sliceHead(track.place, what, start));
      if (track.slices.size < KEPT_SLICES) track.slices.set(what, head);
    }
    text.copy(head);
    writeMicroseconds(text, begin);
    text.add(',"dur":');
    text.point(end - begin, 3);
  }

  /** What the viewer shows of an exit when it is selected. */
  private args(record: ExitRecord, index: number): void {
    const { text } = this;
    text.add(',"args":{"exit":');
    text.decimal(index);
    text.add(',"rip":"');
    writeWord(text, record, RECORD_RIP);
    const symbol = this.symbols?.find(record.highOf(RECORD_RIP), record.lowOf(RECORD_RIP));
    text.add(symbol === undefined ? '"' : `","symbol":${JSON.stringify(symbol)}`);
    text.add(',"class":"');
    text.add(className(record.kind));
    text.add('","detail":"');
    writeDetail(text, record);
    text.add('","outcome":"');
    text.add(outcomeName(record.outcome));
    text.add('"}');
  }

  private endEvent(): void {
    this.text.add("}");
    this.output.endLine();
  }

  private track(record: ExitRecord, start: TraceStart, now: number): Track {
    const key = record.vm * 256 + record.vcpu;
    let track = this.tracks.get(key);
    if (track === undefined) {
      // Viewers keep process and thread 0 for the idle task.
      const [pid, tid] = [record.vm + 1, record.vcpu + 1];
      const counter = `,{"ph":"C","pid":${pid},"name":"exits per second, vCPU ${record.vcpu}","ts":`;
      const place = `"pid":${pid},"tid":${tid}`;
      track = { place, counter, slices: new Map(), exits: 0, counted: now };
      this.tracks.set(key, track);
      this.event({
        ph: "M",
        pid,
        tid,
        name: "process_name",
        args: { name: `VM ${record.vm} (${start.backend})` },
      });
      this.event({ ph: "M", pid, tid, name: "thread_name", args: { name: `vCPU ${record.vcpu}` } });
    }
    return track;
  }

  private count(track: Track, now: number): void {
    track.exits++;
    const { text } = this;
    const passed = now - track.counted;
    if (passed < COUNTER_PERIOD) return;
    text.add(track.counter);
    writeMicroseconds(text, now);
    text.add(`,"args":{"rate":${Math.round((track.exits * 1e9) / passed)}}`);
    this.endEvent();
    track.exits = 0;
    track.counted = now;
  }

  private event(event: Record<string, unknown>): void {
    this.output.line(`${this.separator}${JSON.stringify(event)}`);
    this.separator = ",";
  }
}

/** A slice's event up to its time. It is never the first event: those that name the track come before. */
function sliceHead(place: string, what: number, start: TraceStart): string {
  if (what === GUEST) return `,{"ph":"X",${place},"name":"guest","cat":"guest","ts":`;
  if (what === HALT) return `,{"ph":"X",${place},"name":"halt","cat":"halt","ts":`;
  if (what === UNRECORDED)
    return `,{"ph":"X",${place},"name":"guest or unrecorded exits","cat":"guest","ts":`;
  return `,{"ph":"X",${place},"name":"${reasonName(start.backend, what)}","cat":"exit","ts":`;
}

/** Since the trace began; nanoseconds are as fine as a TSC gets. */
function nanoseconds(tsc: number, start: TraceStart): number {
  return Math.round(((tsc - start.tsc) * 1e9) / start.tscHz);
}

/** Nanoseconds as microseconds, without zeros at the end. */
function writeMicroseconds(text: Text, value: number): void {
  let digits = 3;
  while (digits > 0 && value % 10 === 0) {
    value /= 10;
    digits--;
  }
  if (digits === 0) text.decimal(value);
  else text.point(value, digits);
}
