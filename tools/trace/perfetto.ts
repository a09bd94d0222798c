// A timeline in Chrome's trace event format (JSON), for ui.perfetto.dev and chrome://tracing: one process per VM, one track
// per vCPU whose slices are the guest, each exit by its reason, and waiting in HLT; and the exit rate as a counter.
import { EXIT_HLT } from "../../kernel/abi/exits.ts";
import type { View } from "./analysis.ts";
import { describeDetail, hex } from "./describe.ts";
import { className, outcomeName, reasonName } from "./names.ts";
import { Output } from "./output.ts";
import type { TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";
import type { Symbols } from "./symbols.ts";
import type { FinishedView } from "./views.ts";

/** The exit rate is sampled this often, seconds. */
const COUNTER_PERIOD = 0.01;

interface Track {
  /** Its place in the viewer, as members of an event. */
  place: string;
  /** TSC of the last entry; undefined: what happened before is not known. */
  entered?: number;
  /** Exits since the counter was last written, and when that was. */
  exits: number;
  counted: number;
}

/** Viewers keep process and thread 0 for the idle task. */
function place(record: ExitRecord): { pid: number; tid: number } {
  return { pid: record.vm + 1, tid: record.vcpu + 1 };
}

export function perfettoView(path: string, symbols: Symbols | undefined): View & FinishedView {
  return new Timeline(new Output(path, "--perfetto"), symbols);
}

class Timeline implements View, FinishedView {
  private readonly tracks = new Map<number, Track>();
  private readonly named = new Map<number, string>();
  private separator = "";

  constructor(
    private readonly output: Output,
    private readonly symbols: Symbols | undefined,
  ) {
    output.line('{"displayTimeUnit":"ns","traceEvents":[');
  }

  exit(record: ExitRecord, index: number, start: TraceStart): void {
    const track = this.track(record, start);
    // Nanoseconds are as fine as a TSC gets: more digits would only take time and room.
    const at = (tsc: number) => Math.round(((tsc - start.tsc) * 1e9) / start.tscHz) / 1e3;
    const [entry, exit] = [at(record.tscOut), at(record.tscIn)];
    if (track.entered !== undefined && record.tscIn > track.entered) {
      const ts = at(track.entered);
      this.slice(`${track.place},"name":"guest","cat":"guest"`, ts, exit - ts, "");
    }
    this.slice(track.place + this.names(record, start), exit, entry - exit, this.args(record, index));
    track.entered = record.tscOut;
    this.count(track, record, start);
  }

  /** A slice, written by hand: a trace has millions. `args` begins with a comma, or is empty. */
  private slice(members: string, ts: number, dur: number, args: string): void {
    this.output.line(`${this.separator}{"ph":"X",${members},"ts":${ts},"dur":${dur.toFixed(3)}${args}}`);
    this.separator = ",";
  }

  /** Name and category of an exit's slice, as members of an event. */
  private names(record: ExitRecord, start: TraceStart): string {
    const key = record.reason * 64 + record.kind;
    let text = this.named.get(key);
    if (text === undefined) {
      const halt = record.kind === EXIT_HLT;
      const name = JSON.stringify(halt ? "halt" : reasonName(start.backend, record.reason));
      text = `,"name":${name},"cat":"${halt ? "halt" : "exit"}"`;
      this.named.set(key, text);
    }
    return text;
  }

  /** Between the exits around a gap the guest need not have run. */
  lost(): void {
    for (const track of this.tracks.values()) track.entered = undefined;
  }

  pause(): Promise<void> {
    return this.output.ready();
  }

  async finish(): Promise<void> {
    this.output.line("]}");
    await this.output.end();
  }

  /** Members of an exit's slice that the viewer shows when it is selected. */
  private args(record: ExitRecord, index: number): string {
    const symbol = this.symbols?.find(record.rip);
    const where = symbol === undefined ? "" : `,"symbol":${JSON.stringify(symbol)}`;
    const detail = JSON.stringify(describeDetail(record).join(" "));
    return (
      `,"args":{"exit":${index},"rip":"${hex(record.rip)}"${where},"class":"${className(record.kind)}",` +
      `"detail":${detail},"outcome":"${outcomeName(record.outcome)}"}`
    );
  }

  private track(record: ExitRecord, start: TraceStart): Track {
    const key = record.vm * 256 + record.vcpu;
    let track = this.tracks.get(key);
    if (track === undefined) {
      const { pid, tid } = place(record);
      const members = `"pid":${pid},"tid":${tid}`;
      track = { place: members, exits: 0, counted: (record.tscIn - start.tsc) / start.tscHz };
      this.tracks.set(key, track);
      const common = { ph: "M", ...place(record) };
      this.event({ ...common, name: "process_name", args: { name: `VM ${record.vm} (${start.backend})` } });
      this.event({ ...common, name: "thread_name", args: { name: `vCPU ${record.vcpu}` } });
    }
    return track;
  }

  private count(track: Track, record: ExitRecord, start: TraceStart): void {
    track.exits++;
    const now = (record.tscIn - start.tsc) / start.tscHz;
    if (now - track.counted < COUNTER_PERIOD) return;
    const name = `exits per second, vCPU ${record.vcpu}`;
    const rate = Math.round(track.exits / (now - track.counted));
    this.event({ ph: "C", pid: place(record).pid, name, ts: now * 1e6, args: { rate } });
    track.exits = 0;
    track.counted = now;
  }

  private event(event: Record<string, unknown>): void {
    this.output.line(`${this.separator}${JSON.stringify(event)}`);
    this.separator = ",";
  }
}
