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
  exitsOf,
  guestTicks,
  reasonCounters,
  reasonOfIndex,
  ticksOf,
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
  logHeads(prefix);
  for (
    let i = nextReason(vcpu, exitsAt, ALL_REASONS);
    i < COUNTED_REASONS;
    i = nextReason(vcpu, exitsAt, i)
  ) {
    logText(prefix);
    logRow(vcpu, reasonOfIndex(i), exits, ticks);
  }
  logTotals(vcpu, prefix, exits, ticks);
}

/** The row of one reason, below the heads. */
export function logReasonRow(vcpu: Vcpu, reason: u32): void {
  logHeads("");
  logRow(vcpu, reason, totalExits(vcpu), totalTicks(vcpu));
}

function logHeads(prefix: string): void {
  logText(prefix);
  columnText("VM-EXIT", NAME_WIDTH);
  columnHeads(HEADS, WIDTH);
  logEnd();
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
  const count = exitsOf(vcpu, reason);
  columnText(backend().reasonName(reason), NAME_WIDTH);
  columnDecimal(count, WIDTH);
  columnHundredths(percent(count, exits), "%", WIDTH);
  columnHundredths(percent(ticksOf(vcpu, reason), ticks), "%", WIDTH);
  logTimes(vcpu, reason);
  logEnd();
}

/** Shortest, longest and average time of a reason's exits; blank before the first has ended. */
function logTimes(vcpu: Vcpu, reason: u32): void {
  const row = reasonCounters(vcpu, reason);
  const ended = row.count;
  if (ended == 0) return;
  columnHundredths(hundredthsOfUs(row.shortest), "us", WIDTH);
  columnHundredths(hundredthsOfUs(row.longest), "us", WIDTH);
  columnHundredths(hundredthsOfUs(ticksOf(vcpu, reason) / ended), "us", WIDTH);
}

/** Ticks of the TSC in hundredths of a microsecond. */
export function hundredthsOfUs(ticks: u64): u64 {
  return nsFromTsc(ticks) / 10;
}

// --- order ---------------------------------------------------------------------------------------------------------------

/** Where `nextReason` starts. */
export const ALL_REASONS: u32 = 0xffffffff;

function exitsAt(vcpu: Vcpu, index: u32): u64 {
  return exitsOf(vcpu, reasonOfIndex(index));
}

/**
 * The place of the reason that comes after the one at `index` (ALL_REASONS: the first) when reasons are ordered by
 * `countOf`, then by their places; COUNTED_REASONS: no more that count anything.
 */
export function nextReason(vcpu: Vcpu, countOf: (vcpu: Vcpu, index: u32) => u64, index: u32): u32 {
  const limit = index == ALL_REASONS ? U64.MAX_VALUE : countOf(vcpu, index);
  let best: u32 = COUNTED_REASONS;
  let highest: u64 = 0;
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) {
    const count = countOf(vcpu, i);
    if (count <= highest || count > limit || (count == limit && i <= index)) continue;
    highest = count;
    best = i;
  }
  return best;
}
