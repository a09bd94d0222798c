// `vmexit [REASON]`: how often the guest exited and how long that took, by reason; of one reason, how the times spread.
import { blanks, columnDecimal, columnHundredths } from "../../lib/columns";
import { logEnd, logText } from "../../lib/log";
import { wordEnd } from "../../lib/options";
import {
  COUNTED_REASONS,
  HISTOGRAM_BUCKETS,
  histogramBucket,
  ReasonCounters,
  reasonCounters,
  reasonOfIndex,
} from "../../trace/counters";
import { reasonCalled } from "../../trace/options";
import { hundredthsOfUs, logCounters, logReasonRow } from "../../trace/table";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";
import { complain, isEnd } from "../words";

const TIME_WIDTH: i32 = 16;
const COUNT_WIDTH: i32 = 12;
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
  logHistogram(reasonCounters(vcpu, reasonOfIndex(index)));
  return STAY;
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
