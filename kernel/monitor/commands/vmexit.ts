// `vmexit [REASON]`: how often the guest exited and how long that took, by reason; of one reason, what the exits were about, and
// how their times spread.
import { blanks, columnDecimal, columnHundredths, percent } from "../../lib/columns";
import { DETAIL_ENTRIES } from "../../lib/limits";
import { logDecimal, logEnd, logHexFixed, logText } from "../../lib/log";
import { wordEnd } from "../../lib/options";
import {
  COUNTED_REASONS,
  detailCounters,
  HISTOGRAM_BUCKETS,
  histogramBucket,
  ReasonCounters,
  reasonCounters,
  reasonOfIndex,
  ticksOf,
} from "../../trace/counters";
import { DetailCounters } from "../../trace/details";
import { reasonCalled } from "../../trace/options";
import { hundredthsOfUs, logCounters, logReasonRow } from "../../trace/table";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";
import { complain, isEnd } from "../words";

const TIME_WIDTH: i32 = 16;
const COUNT_WIDTH: i32 = 12;
/** Lines of the second level, and hexadecimal digits of what they are about. */
const DETAIL_ROWS: u32 = 16;
const DETAIL_DIGITS: u32 = 8;
/** Characters of the longest bar. */
const BAR: u64 = 40;

export function vmexit(vcpu: Vcpu, args: usize): u32 {
  if (isEnd(args)) {
    logCounters(vcpu, "");
    return STAY;
  }
  const index = reasonCalled(args, wordEnd(args), 0);
  if (index == COUNTED_REASONS) return complain("there is no exit reason of this name (Tab completes)", args);
  logReasonRow(vcpu, reasonOfIndex(index));
  logDetails(vcpu, reasonOfIndex(index));
  logHistogram(reasonCounters(vcpu, reasonOfIndex(index)));
  return STAY;
}

/** The most frequent details of a reason: ports, MSRs, leaves, pages … Nothing for reasons that have none. */
function logDetails(vcpu: Vcpu, reason: u32): void {
  const ticks = ticksOf(vcpu, reason);
  let at = nextDetail(vcpu, reason, DETAIL_ENTRIES);
  for (let row: u32 = 0; row < DETAIL_ROWS && at != DETAIL_ENTRIES; row++) {
    const entry = detailCounters(vcpu, at);
    at = nextDetail(vcpu, reason, at);
    if (entry.detail == 0 && row == 0 && at == DETAIL_ENTRIES) return;
    logDetail(entry, ticks);
  }
  if (at != DETAIL_ENTRIES) {
    logText("and rarer ones");
    logEnd();
  }
  logDisplaced(reasonCounters(vcpu, reason).displaced.count);
}

/** The second level is bounded: what it has counted of others that had to make room. */
function logDisplaced(count: u64): void {
  if (count == 0) return;
  logDecimal(count);
  logText(" more, of rarer ones that had to make room in the table");
  logEnd();
}

function logDetail(entry: DetailCounters, ticks: u64): void {
  logText("at ");
  logHexFixed(entry.detail, DETAIL_DIGITS);
  columnDecimal(entry.count, COUNT_WIDTH);
  columnHundredths(percent(entry.total, ticks), "%", COUNT_WIDTH);
  columnHundredths(hundredthsOfUs(entry.total / entry.count), "us", TIME_WIDTH);
  if (entry.missed != 0) {
    logText(" and at most ");
    logDecimal(entry.missed);
    logText(" before");
  }
  logEnd();
}

/** The entry of `reason` that comes after entry `index` (DETAIL_ENTRIES: the first) by count; DETAIL_ENTRIES: no more. */
function nextDetail(vcpu: Vcpu, reason: u32, index: u32): u32 {
  const limit = index == DETAIL_ENTRIES ? U64.MAX_VALUE : detailCounters(vcpu, index).count;
  let best = DETAIL_ENTRIES;
  let highest: u64 = 0;
  for (let i: u32 = 0; i < DETAIL_ENTRIES; i++) {
    const entry = detailCounters(vcpu, i);
    if (entry.reason != reason || entry.count <= highest || entry.count > limit) continue;
    if (entry.count == limit && i <= index) continue;
    highest = entry.count;
    best = i;
  }
  return best;
}

/** Each bucket that is not empty: the shortest time that it counts, how many, a bar. */
function logHistogram(row: ReasonCounters): void {
  let most: u64 = 1;
  for (let i: u32 = 0; i < HISTOGRAM_BUCKETS; i++) most = max<u64>(most, histogramBucket(row, i));
  for (let i: u32 = 0; i < HISTOGRAM_BUCKETS; i++) {
    const count: u64 = histogramBucket(row, i);
    if (count == 0) continue;
    logText("from");
    columnHundredths(hundredthsOfUs((<u64>1) << i), "us", TIME_WIDTH);
    columnDecimal(count, COUNT_WIDTH);
    blanks(1);
    for (let j: u64 = 0; j < (count * BAR + most - 1) / most; j++) logText("#");
    logEnd();
  }
}
