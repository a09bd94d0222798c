// The counters of a vCPU as a table with the columns of `perf kvm stat report`, the reason with the most exits first.
import { nsFromTsc } from "../arch/clock";
import {
  columnDecimal,
  columnHeads,
  columnHundredths,
  columnText,
  logHundredths,
  percent,
} from "../lib/columns";
import { logDecimal, logEnd, logText } from "../lib/log";
import { backend } from "../vcpu/backend";
import { Vcpu } from "../vcpu/vcpu";
import {
  COUNTED_REASONS,
  guestTicks,
  isOpen,
  ReasonCounters,
  reasonCounters,
  reasonOfIndex,
  totalExits,
  totalTicks,
} from "./counters";

const NAME_WIDTH: i32 = 24;
const WIDTH: i32 = 13;
const HEADS: string = "Samples Samples% Time% Min Max Avg";

/** Logs the table, each line after `prefix`, whatever the log's level. */
export function logCounters(vcpu: Vcpu, prefix: string): void {
  const exits = totalExits(vcpu);
  const ticks = totalTicks(vcpu);
  logText(prefix);
  columnText("VM-EXIT", NAME_WIDTH);
  columnHeads(HEADS, WIDTH);
  logEnd();
  let last: u64 = U64.MAX_VALUE;
  for (let index = next(vcpu, last); index < COUNTED_REASONS; index = next(vcpu, last)) {
    logText(prefix);
    logRow(vcpu, reasonOfIndex(index), exits, ticks);
    last = rank(vcpu, index);
  }
  logTotals(vcpu, prefix, exits, ticks);
}

function logTotals(vcpu: Vcpu, prefix: string, exits: u64, ticks: u64): void {
  logText(prefix);
  logText("vm=");
  logDecimal(vcpu.vmIndex);
  logText(" vcpu=");
  logDecimal(vcpu.index);
  logText(" exits=");
  logDecimal(exits);
  logText(" hypervisor=");
  logHundredths(hundredthsOfUs(ticks));
  logText("us guest=");
  logHundredths(hundredthsOfUs(guestTicks(vcpu)));
  logText("us");
  logEnd();
}

function logRow(vcpu: Vcpu, reason: u32, exits: u64, ticks: u64): void {
  const row = reasonCounters(vcpu, reason);
  columnText(backend().reasonName(reason), NAME_WIDTH);
  columnDecimal(row.count, WIDTH);
  columnHundredths(percent(row.count, exits), "%", WIDTH);
  columnHundredths(percent(row.total, ticks), "%", WIDTH);
  logTimes(row, row.count - (isOpen(vcpu, row) ? 1 : 0));
  logEnd();
}

/** Shortest, longest and average time of the `ended` exits of a reason; blank before the first. */
function logTimes(row: ReasonCounters, ended: u64): void {
  if (ended == 0) return;
  columnHundredths(hundredthsOfUs(row.shortest), "us", WIDTH);
  columnHundredths(hundredthsOfUs(row.longest), "us", WIDTH);
  columnHundredths(hundredthsOfUs(row.total / ended), "us", WIDTH);
}

/** Ticks of the TSC in hundredths of a microsecond. */
export function hundredthsOfUs(ticks: u64): u64 {
  return nsFromTsc(ticks) / 10;
}

// --- order ---------------------------------------------------------------------------------------------------------------

/** Bits of a rank that tell reasons with the same count apart. */
const INDEX_BITS: u64 = 9;

/** Orders reasons: by count, then by number. Of no exits: 0. */
function rank(vcpu: Vcpu, index: u32): u64 {
  const count = reasonCounters(vcpu, reasonOfIndex(index)).count;
  return count == 0 ? 0 : (count << INDEX_BITS) | (COUNTED_REASONS - index);
}

/** The reason of the highest rank below `limit`; COUNTED_REASONS: there is none. */
function next(vcpu: Vcpu, limit: u64): u32 {
  let best: u32 = COUNTED_REASONS;
  let highest: u64 = 0;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) {
    const r = rank(vcpu, i);
    if (r <= highest || r >= limit) continue;
    highest = r;
    best = i;
  }
  return best;
}
