// Exits as comma-separated values (RFC 4180), one line an exit, for spreadsheets and data frames.
import { describeDetail, hex } from "./describe.ts";
import { hasGpa, hasQualification } from "./fields.ts";
import { className, outcomeName, reasonName } from "./names.ts";
import type { TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";

const COLUMNS: [name: string, value: (record: ExitRecord, start: TraceStart, index: number) => string][] = [
  ["index", (_r, _s, index) => String(index)],
  ["seconds", (r, s) => ((r.tscIn - s.tsc) / s.tscHz).toFixed(9)],
  ["microseconds", (r, s) => (((r.tscOut - r.tscIn) * 1e6) / s.tscHz).toFixed(3)],
  ["vm", (r) => String(r.vm)],
  ["vcpu", (r) => String(r.vcpu)],
  ["reason", (r, s) => reasonName(s.backend, r.reason)],
  ["reason_number", (r) => String(r.reason)],
  ["class", (r) => className(r.kind)],
  ["outcome", (r) => outcomeName(r.outcome)],
  ["rip", (r) => hex(r.rip)],
  ["qualification", (r, s) => (hasQualification(s.backend, r.kind) ? hex(r.qualification) : "")],
  ["gpa", (r) => (hasGpa(r.kind) ? hex(r.gpa) : "")],
  ["rax", (r) => hex(r.rax)],
  ["rcx", (r) => hex(r.rcx)],
  ["rdx", (r) => hex(r.rdx)],
  ["detail", (r) => describeDetail(r).join(" ")],
];

export const CSV_HEADER = COLUMNS.map(([name]) => name).join(",");

/** One exit as a line without its end. */
export function csvLine(index: number, record: ExitRecord, start: TraceStart): string {
  return COLUMNS.map(([, value]) => quoted(value(record, start, index))).join(",");
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
