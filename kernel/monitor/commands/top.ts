// `top`: exits per second by reason, while the guest runs.
import { rdtsc } from "../../arch/intrinsics";
import { tscHz } from "../../arch/clock";
import { columnDecimal, columnHeads, columnHundredths, columnText, percent } from "../../lib/columns";
import { logEnd, logText } from "../../lib/log";
import { COUNTED_REASONS, exitsOf, reasonOfIndex, ticksOf } from "../../trace/counters";
import { ALL_REASONS, nextReason } from "../../trace/table";
import { backend } from "../../vcpu/backend";
import { Vcpu } from "../../vcpu/vcpu";
import { WATCH } from "../command";

const NAME_WIDTH: i32 = 24;
const WIDTH: i32 = 14;
/** Rows that fit a terminal. */
const ROWS: u32 = 20;
const CLEAR_SCREEN: string = "\x1b[H\x1b[J";

/** Count and total ticks of each reason when the last picture was made, and the TSC then. */
const before = memory.data(COUNTED_REASONS * 16, 16);
let since: u64 = 0;

export function top(vcpu: Vcpu, _args: usize): u32 {
  remember(vcpu);
  logText(CLEAR_SCREEN);
  logText("top: the first figures come in a second; any key ends");
  logEnd();
  return WATCH;
}

/** A new picture: what has happened since the last one. */
export function topShow(vcpu: Vcpu): void {
  const elapsed = max<u64>(rdtsc() - since, 1);
  logText(CLEAR_SCREEN);
  columnText("VM-EXIT", NAME_WIDTH);
  columnHeads("Exits/s Time%", WIDTH);
  logEnd();
  let index = nextReason(vcpu, exitsSince, ALL_REASONS);
  for (let row: u32 = 0; row < ROWS && index != COUNTED_REASONS; row++) {
    logRow(vcpu, index, elapsed);
    index = nextReason(vcpu, exitsSince, index);
  }
  logText("any key ends");
  logEnd();
  remember(vcpu);
}

function logRow(vcpu: Vcpu, index: u32, elapsed: u64): void {
  const ticks = ticksOf(vcpu, reasonOfIndex(index)) - load<u64>(place(index), 8);
  columnText(backend().reasonName(reasonOfIndex(index)), NAME_WIDTH);
  columnDecimal((exitsSince(vcpu, index) * tscHz()) / elapsed, WIDTH);
  columnHundredths(percent(ticks, elapsed), "%", WIDTH);
  logEnd();
}

function exitsSince(vcpu: Vcpu, index: u32): u64 {
  return exitsOf(vcpu, reasonOfIndex(index)) - load<u64>(place(index));
}

function place(index: u32): usize {
  return before + <usize>index * 16;
}

function remember(vcpu: Vcpu): void {
  for (let i: u32 = 0; i < COUNTED_REASONS; i++) {
    store<u64>(place(i), exitsOf(vcpu, reasonOfIndex(i)));
    store<u64>(place(i), ticksOf(vcpu, reasonOfIndex(i)), 8);
  }
  since = rdtsc();
}
