// Exits as comma-separated values (RFC 4180), one line an exit, for spreadsheets and data frames. No value needs quotes:
// names of reasons, classes and MSRs have no comma, quote or line break (tests/trace/views.test.ts looks).
import {
  RECORD_GPA,
  RECORD_QUALIFICATION,
  RECORD_RAX,
  RECORD_RCX,
  RECORD_RDX,
  RECORD_RIP,
} from "../../kernel/abi/trace.ts";
import { writeDetail, writeWord } from "./describe.ts";
import { hasGpa, hasQualification } from "./fields.ts";
import { className, outcomeName, reasonName } from "./names.ts";
import type { TraceStart } from "./reader.ts";
import type { ExitRecord } from "./record.ts";
import type { Text } from "./text.ts";

type WriteValue = (text: Text, record: ExitRecord, start: TraceStart, index: number) => void;

const COLUMNS: [name: string, write: WriteValue][] = [
  ["index", (text, _r, _s, index) => text.decimal(index)],
  ["seconds", (text, r, s) => text.fixed((r.tscIn - s.tsc) / s.tscHz, 9)],
  ["microseconds", (text, r, s) => text.fixed(((r.tscOut - r.tscIn) * 1e6) / s.tscHz, 3)],
  ["vm", (text, r) => text.decimal(r.vm)],
  ["vcpu", (text, r) => text.decimal(r.vcpu)],
  ["reason", (text, r, s) => text.add(reasonName(s.backend, r.reason))],
  ["reason_number", (text, r) => text.decimal(r.reason)],
  ["class", (text, r) => text.add(className(r.kind))],
  ["outcome", (text, r) => text.add(outcomeName(r.outcome))],
  ["rip", (text, r) => writeWord(text, r, RECORD_RIP)],
  [
    "qualification",
    (text, r, s) => {
      if (hasQualification(s.backend, r.kind)) writeWord(text, r, RECORD_QUALIFICATION);
    },
  ],
  [
    "gpa",
    (text, r) => {
      if (hasGpa(r.kind)) writeWord(text, r, RECORD_GPA);
    },
  ],
  ["rax", (text, r) => writeWord(text, r, RECORD_RAX)],
  ["rcx", (text, r) => writeWord(text, r, RECORD_RCX)],
  ["rdx", (text, r) => writeWord(text, r, RECORD_RDX)],
  ["detail", writeDetail],
];

export const CSV_HEADER = COLUMNS.map(([name]) => name).join(",");

/** One exit as a line without its end. */
export function writeCsv(text: Text, index: number, record: ExitRecord, start: TraceStart): void {
  for (let column = 0; column < COLUMNS.length; column++) {
    if (column > 0) text.add(",");
    (COLUMNS[column] as (typeof COLUMNS)[number])[1](text, record, start, index);
  }
}
