// The views of `typevisor trace` that are text.
import type { Selection, TraceEnd, View } from "./analysis.ts";
import { CSV_HEADER, writeCsv } from "./csv.ts";
import { writeLine } from "./describe.ts";
import { EVENTS, type Event } from "./events.ts";
import { explain } from "./explain.ts";
import { describeFilters } from "./filter.ts";
import { Output } from "./output.ts";
import { formatTable, type SortKey, Statistics } from "./statistics.ts";
import type { Symbols } from "./symbols.ts";

/** A view that has something to say, or to write, at the end. */
export interface FinishedView {
  finish(end: TraceEnd): Promise<void>;
}

/** The table of `perf kvm stat report`. */
export function tableView(eventName: string, key: SortKey, selection: Selection): View & FinishedView {
  const event = EVENTS[eventName] as Event;
  const statistics = new Statistics();
  return {
    exit(record, _index, start) {
      const name = event.key(record, start.backend);
      if (name !== undefined) statistics.add(name, record.tscOut - record.tscIn);
    },
    async finish(end) {
      if (end.start === undefined) return;
      const vms = selection.vm === undefined ? "all VMs" : `VM ${selection.vm}`;
      const vcpus = selection.vcpu === undefined ? "all VCPUs" : `VCPU ${selection.vcpu}`;
      const filtered = describeFilters(end.filters, end.start.backend);
      const title = `Analyze events for ${vms}, ${vcpus}:${filtered === undefined ? "" : `\n${filtered}`}`;
      const output = new Output();
      output.line(formatTable(statistics, event.heading, key, end.start.tscHz, title));
      await output.end();
    },
  };
}

/** One line an exit. */
export function logView(symbols: Symbols | undefined): View & FinishedView {
  const output = new Output();
  return {
    exit: (record, index, start) => {
      writeLine(output.text, index, record, start, symbols);
      output.endLine();
    },
    lost: (records) => output.line(`        -- ${records} exits lost --`),
    pause: () => output.ready(),
    finish: () => output.end(),
  };
}

/** Comma-separated values. */
export function csvView(): View & FinishedView {
  const output = new Output();
  output.line(CSV_HEADER);
  return {
    exit: (record, index, start) => {
      writeCsv(output.text, index, record, start);
      output.endLine();
    },
    pause: () => output.ready(),
    finish: () => output.end(),
  };
}

/** One exit in full. */
export function explainView(symbols: Symbols | undefined): View & FinishedView {
  const output = new Output();
  return {
    exit: (record, index, start) => {
      for (const line of explain(index, record, start, symbols)) output.line(line);
    },
    async finish(end) {
      if (end.shown === 0 && end.error === null)
        output.line(`There is no such exit: the trace has ${end.exits}.`);
      await output.end();
    },
  };
}
