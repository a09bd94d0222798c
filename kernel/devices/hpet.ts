// High-precision event timers (Intel, "IA-PC HPET Specification" 1.0a): one 64-bit counter of 100 MHz and three comparators.
// The counter is VM time divided by 10 ns plus a constant; matches are found when somebody looks. Registers are 64 bits wide.
//
//   000  capabilities           100 + 20n  timer n: configuration and capabilities
//   010  configuration          108 + 20n  timer n: comparator
//   020  interrupt status       110 + 20n  timer n: FSB interrupt route (not there)
//   0F0  main counter
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { MIN_TIMER_PERIOD_NS } from "../lib/limits";
import { isAccessSize, isPortSize } from "../lib/sizes";

export const HPET_TIMERS: u32 = 3;
/** Bytes of registers. */
export const HPET_BYTES: u32 = 0x400;
/** Period of the main counter. */
const TICK_NS: u64 = 10;
const TICK_FS: u64 = TICK_NS * 1_000_000;
/** Shortest period of timer 0 that is safe from lost interrupts, in ticks: what the platform stretches shorter ones to. */
export const HPET_MIN_TICKS: u32 = <u32>(MIN_TIMER_PERIOD_NS / TICK_NS);

const CAPABILITIES: u32 = 0x000;
const CONFIGURATION: u32 = 0x010;
const STATUS: u32 = 0x020;
const COUNTER: u32 = 0x0f0;
const TIMERS_FIRST: u32 = 0x100;
const TIMER_STRIDE: u32 = 0x20;
const TIMER_CONFIGURATION: u32 = 0x00;
const TIMER_COMPARATOR: u32 = 0x08;

// Capabilities: 63..32 period in femtoseconds | 31..16 vendor | 15 legacy replacement | 13 64-bit counter | 12..8 last timer
// | 7..0 revision. The low half is the "event timer block ID" of the ACPI table.
const VENDOR: u32 = 0x8086;
const LEG_RT_CAP: u32 = 1 << 15;
const COUNT_SIZE_CAP: u32 = 1 << 13;
const REVISION: u32 = 1;
export const HPET_ID: u32 =
  (VENDOR << 16) | LEG_RT_CAP | COUNT_SIZE_CAP | ((HPET_TIMERS - 1) << 8) | REVISION;

const ENABLE_CNF: u32 = 1 << 0;
const LEG_RT_CNF: u32 = 1 << 1;

// Timer configuration: 63..32 pins it can be routed to | 13..9 pin | 8 compares 32 bits | 6 next write sets the comparator
// itself | 5 can compare 64 bits | 4 can be periodic | 3 periodic | 2 interrupts | 1 level-triggered.
const INT_TYPE_CNF: u32 = 1 << 1;
const INT_ENB_CNF: u32 = 1 << 2;
const TYPE_CNF: u32 = 1 << 3;
const PER_INT_CAP: u32 = 1 << 4;
const SIZE_CAP: u32 = 1 << 5;
const VAL_SET_CNF: u32 = 1 << 6;
const MODE32_CNF: u32 = 1 << 8;
const ROUTE_SHIFT: u32 = 9;
const ROUTE_MASK: u32 = 0x1f << ROUTE_SHIFT;
const TIMER_WRITABLE: u32 = INT_TYPE_CNF | INT_ENB_CNF | MODE32_CNF | ROUTE_MASK;
/** Timer 0 alone can be periodic. */
const PERIODIC_WRITABLE: u32 = TYPE_CNF | VAL_SET_CNF;

const LOW_HALF: u64 = 0xffffffff;

@unmanaged
class HpetTimer {
  /** Writable bits of the configuration. */
  config: u32;
  reserved: u32;
  comparator: u64;
  /** What a periodic timer adds to its comparator at every match. */
  period: u64;
}

/** Followed by the timers. */
@unmanaged
export class Hpet {
  config: u32;
  /** Level-triggered timers that have matched, bit n for timer n. */
  status: u32;
  /** Edge-triggered timers that have matched and that the platform has not taken. */
  edges: u32;
  /** Pins that timers can be routed to. */
  pins: u32;
  /** The main counter is this plus, while it runs, ticks of VM time. */
  base: u64;
  /** Tick of VM time up to which matches have been found. */
  seen: u64;
}

/** Storage for one; boot time only. */
export function hpetNew(): Hpet {
  return arenaNewWithTail<Hpet>(HPET_TIMERS * offsetof<HpetTimer>());
}

/** Halted at zero. `pins`: mask of the interrupt controller's pins that timers can be routed to. */
export function hpetReset(d: Hpet, pins: u32): void {
  assert((pins & 1) == 0, "hpet: pin 0 stands for none");
  d.config = 0;
  d.status = 0;
  d.edges = 0;
  d.pins = pins;
  d.base = 0;
  d.seen = 0;
  for (let i: u32 = 0; i < HPET_TIMERS; i++) {
    const t = timer(d, i);
    t.config = 0;
    t.comparator = u64.MAX_VALUE;
    t.period = 0;
  }
}

/** Read of 1, 2 or 4 bytes. */
export function hpetRead(d: Hpet, offset: u32, size: u32, now: u64): u32 {
  assert(isPortSize(size), "hpet: bytes of an access");
  const value = readRegister(d, offset & ~7, now) >> ((offset & 7) * 8);
  return <u32>(value & bytesMask(size));
}

/** Read of 8 bytes at a multiple of 8: the counter's halves belong to one moment. */
export function hpetRead64(d: Hpet, offset: u32, now: u64): u64 {
  assert((offset & 7) == 0, "hpet: a register is 8 bytes");
  return readRegister(d, offset, now);
}

/** Write of 1, 2 or 4 bytes. */
export function hpetWrite(d: Hpet, offset: u32, size: u32, value: u32, now: u64): void {
  assert(isPortSize(size), "hpet: bytes of an access");
  const shift = (offset & 7) * 8;
  writeRegister(d, offset & ~7, (<u64>value) << shift, bytesMask(size) << shift, now);
}

/** Write of 8 bytes at a multiple of 8. */
export function hpetWrite64(d: Hpet, offset: u32, value: u64, now: u64): void {
  assert((offset & 7) == 0, "hpet: a register is 8 bytes");
  writeRegister(d, offset, value, u64.MAX_VALUE, now);
}

/** Level-triggered timers that interrupt, bit n for timer n. */
export function hpetLevels(d: Hpet, now: u64): u32 {
  hpetAdvance(d, now);
  let levels: u32 = 0;
  for (let i: u32 = 0; i < HPET_TIMERS; i++) {
    if ((timer(d, i).config & INT_ENB_CNF) != 0) levels |= d.status & (1 << i);
  }
  assert(levels >> HPET_TIMERS == 0, "hpet: three timers");
  return levels;
}

/** Edge-triggered timers that have interrupted up to the last access or `hpetAdvance`, once. */
export function hpetTakeEdges(d: Hpet): u32 {
  assert(d.edges >> HPET_TIMERS == 0, "hpet: three timers");
  const edges = d.edges;
  d.edges = 0;
  return edges;
}

/** Pin that timer `index` is routed to; 0 for none. */
export function hpetRoute(d: Hpet, index: u32): u32 {
  assert(index < HPET_TIMERS, "hpet: no such timer");
  const pin = (timer(d, index).config & ROUTE_MASK) >> ROUTE_SHIFT;
  if (isDefined(CHECKED))
    assert(pin == 0 || (d.pins & (1 << pin)) != 0, "hpet: a pin that it cannot be routed to");
  return pin;
}

/** Whether timer `index` is level-triggered. */
export function hpetIsLevel(d: Hpet, index: u32): bool {
  assert(index < HPET_TIMERS, "hpet: no such timer");
  return (timer(d, index).config & INT_TYPE_CNF) != 0;
}

/** Whether timers 0 and 1 stand in for the 8254 and the RTC (legacy replacement route). */
export function hpetReplacesLegacy(d: Hpet): bool {
  assert((d.config & ~(ENABLE_CNF | LEG_RT_CNF)) == 0, "hpet: configuration");
  return (d.config & LEG_RT_CNF) != 0;
}

/** Next match that interrupts (matches closer together than the limit are seen several at once), or U64.MAX_VALUE. */
export function hpetDeadline(d: Hpet, now: u64): u64 {
  hpetAdvance(d, now);
  assert(d.seen >= now / TICK_NS, "hpet: not up to date");
  let next = u64.MAX_VALUE;
  if ((d.config & ENABLE_CNF) == 0) return next;
  for (let i: u32 = 0; i < HPET_TIMERS; i++) {
    const t = timer(d, i);
    if ((t.config & INT_ENB_CNF) == 0 || (d.status & (1 << i)) != 0) continue;
    let due = nsAfter(d.seen, distance(d, t));
    if (isPeriodic(t) && t.period * TICK_NS < MIN_TIMER_PERIOD_NS) {
      due = max<u64>(
        due,
        now > u64.MAX_VALUE - MIN_TIMER_PERIOD_NS ? u64.MAX_VALUE : now + MIN_TIMER_PERIOD_NS,
      );
    }
    next = min<u64>(next, due);
  }
  return next;
}

/** Finds the matches up to `now`. */
export function hpetAdvance(d: Hpet, now: u64): void {
  const tick = now / TICK_NS;
  if (tick <= d.seen) return;
  if ((d.config & ENABLE_CNF) != 0) {
    for (let i: u32 = 0; i < HPET_TIMERS; i++) match(d, i, tick - d.seen);
  }
  assert(tick > d.seen, "hpet: time goes on");
  d.seen = tick;
}

function timer(d: Hpet, index: u32): HpetTimer {
  assert(index < HPET_TIMERS, "hpet: no such timer");
  return changetype<HpetTimer>(tailOf(d) + <usize>index * offsetof<HpetTimer>());
}

function bytesMask(size: u32): u64 {
  assert(isAccessSize(size), "hpet: bytes of an access");
  return u64.MAX_VALUE >> (64 - size * 8);
}

function replace(old: u64, value: u64, mask: u64): u64 {
  if (isDefined(CHECKED)) assert(mask != 0, "hpet: nothing is written");
  return (old & ~mask) | (value & mask);
}

/** First VM time, ns, `ticks` after tick `from`; saturates. */
function nsAfter(from: u64, ticks: u64): u64 {
  assert(from <= u64.MAX_VALUE / TICK_NS, "hpet: tick");
  const last = u64.MAX_VALUE / TICK_NS;
  return ticks > last - from ? u64.MAX_VALUE : (from + ticks) * TICK_NS;
}

/** The main counter as of the tick seen last. */
function counter(d: Hpet): u64 {
  if (isDefined(CHECKED)) assert(d.seen <= u64.MAX_VALUE / TICK_NS, "hpet: tick");
  return (d.config & ENABLE_CNF) != 0 ? d.base + d.seen : d.base;
}

/** Bits that timer `t` compares. */
function width(t: HpetTimer): u64 {
  if (isDefined(CHECKED))
    assert((t.config & ~(TIMER_WRITABLE | PERIODIC_WRITABLE)) == 0, "hpet: configuration of a timer");
  return (t.config & MODE32_CNF) != 0 ? LOW_HALF : u64.MAX_VALUE;
}

/** A period of 0 never moves the comparator. */
function isPeriodic(t: HpetTimer): bool {
  return (t.config & TYPE_CNF) != 0 && (t.period & width(t)) != 0;
}

/** Ticks until the counter comes to the comparator's value; where it stands there already, that is a whole round. */
function distance(d: Hpet, t: HpetTimer): u64 {
  const mask = width(t);
  const ticks = (t.comparator - counter(d)) & mask;
  if (ticks != 0) return ticks;
  return mask == LOW_HALF ? LOW_HALF + 1 : u64.MAX_VALUE;
}

/** Timer `index` lives through `elapsed` ticks from the tick seen last on. */
function match(d: Hpet, index: u32, elapsed: u64): void {
  assert(elapsed != 0, "hpet: time goes on");
  const t = timer(d, index);
  const ticks = distance(d, t);
  if (isDefined(CHECKED)) assert(ticks != 0, "hpet: a match of the past");
  if (elapsed < ticks) return;
  if (isPeriodic(t)) {
    const period = t.period & width(t);
    assert(period != 0, "hpet: a period of 0");
    t.comparator = (t.comparator + ((elapsed - ticks) / period + 1) * period) & width(t);
  }
  if ((t.config & INT_TYPE_CNF) != 0) d.status |= 1 << index;
  else if ((t.config & INT_ENB_CNF) != 0) d.edges |= 1 << index;
}

function readRegister(d: Hpet, register: u32, now: u64): u64 {
  assert((register & 7) == 0, "hpet: a register is 8 bytes");
  hpetAdvance(d, now);
  switch (register) {
    case CAPABILITIES:
      return (TICK_FS << 32) | <u64>HPET_ID;
    case CONFIGURATION:
      return d.config;
    case STATUS:
      return d.status;
    case COUNTER:
      return counter(d);
    default:
      return readTimer(d, register);
  }
}

function readTimer(d: Hpet, register: u32): u64 {
  assert((register & 7) == 0, "hpet: a register is 8 bytes");
  const index = (register - TIMERS_FIRST) / TIMER_STRIDE;
  if (register < TIMERS_FIRST || index >= HPET_TIMERS) return 0;
  const t = timer(d, index);
  switch (register % TIMER_STRIDE) {
    case TIMER_CONFIGURATION:
      return ((<u64>d.pins) << 32) | <u64>(t.config | SIZE_CAP | (index == 0 ? PER_INT_CAP : 0));
    case TIMER_COMPARATOR:
      return t.comparator & width(t);
    default:
      return 0;
  }
}

/** Writes the bytes of a register that `mask` covers. */
function writeRegister(d: Hpet, register: u32, value: u64, mask: u64, now: u64): void {
  assert((register & 7) == 0 && mask != 0, "hpet: a register is 8 bytes");
  hpetAdvance(d, now);
  switch (register) {
    case CONFIGURATION:
      writeConfiguration(d, <u32>replace(d.config, value, mask) & (ENABLE_CNF | LEG_RT_CNF));
      break;
    case STATUS:
      d.status &= ~(<u32>(value & mask));
      break;
    case COUNTER:
      d.base += replace(counter(d), value, mask) - counter(d);
      break;
    default:
      writeTimer(d, register, value, mask);
  }
}

/** The counter keeps its value when it is halted and when it goes on. */
function writeConfiguration(d: Hpet, config: u32): void {
  assert((config & ~(ENABLE_CNF | LEG_RT_CNF)) == 0, "hpet: configuration");
  const value = counter(d);
  d.config = config;
  d.base += value - counter(d);
  assert(counter(d) == value, "hpet: the counter keeps its value");
}

function writeTimer(d: Hpet, register: u32, value: u64, mask: u64): void {
  assert(mask != 0, "hpet: nothing is written");
  const index = (register - TIMERS_FIRST) / TIMER_STRIDE;
  if (register < TIMERS_FIRST || index >= HPET_TIMERS) return;
  const t = timer(d, index);
  switch (register % TIMER_STRIDE) {
    case TIMER_CONFIGURATION:
      writeTimerConfiguration(d, index, <u32>replace(t.config, value, mask));
      break;
    case TIMER_COMPARATOR:
      writeComparator(t, value, mask);
      break;
    default:
      break;
  }
}

/** A pin that the timer cannot be routed to does not stick, by which software finds out. */
function writeTimerConfiguration(d: Hpet, index: u32, value: u32): void {
  assert(index < HPET_TIMERS, "hpet: no such timer");
  const t = timer(d, index);
  let config = value & (index == 0 ? TIMER_WRITABLE | PERIODIC_WRITABLE : TIMER_WRITABLE);
  const pin = (config & ROUTE_MASK) >> ROUTE_SHIFT;
  if ((d.pins & (1 << pin)) == 0) config &= ~ROUTE_MASK;
  t.config = config;
  if ((config & INT_TYPE_CNF) == 0) d.status &= ~(1 << index);
}

/**
 * A periodic timer's comparator moves by itself: a write sets the period, and with VAL_SET_CNF before it the comparator as
 * well, once.
 */
function writeComparator(t: HpetTimer, value: u64, mask: u64): void {
  assert(mask != 0, "hpet: nothing is written");
  const periodic = (t.config & TYPE_CNF) != 0;
  if (!periodic || (t.config & VAL_SET_CNF) != 0) t.comparator = replace(t.comparator, value, mask);
  if (periodic) t.period = replace(t.period, value, mask);
  t.config &= ~VAL_SET_CNF;
}
