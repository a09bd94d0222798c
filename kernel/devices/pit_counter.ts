// One counter of the 8254 (Intel "8254 Programmable Interval Timer" data sheet), computed instead of counted:
// what is kept is the tick at which the counting element held its full count, and everything else follows
// from the present tick.

/** No rising edge to come. */
export const NO_TICK: u64 = u64.MAX_VALUE;

// Access modes (control word bits 5..4).
export const ACCESS_LATCH: u32 = 0;
const ACCESS_LOW: u32 = 1;
const ACCESS_HIGH: u32 = 2;
const ACCESS_BOTH: u32 = 3;

const MODE_TERMINAL_COUNT: u32 = 0;
const MODE_ONE_SHOT: u32 = 1;
const MODE_RATE: u32 = 2;
const MODE_SQUARE_WAVE: u32 = 3;
const MODE_SOFTWARE_STROBE: u32 = 4;
const MODE_HARDWARE_STROBE: u32 = 5;

const STATUS_OUT: u32 = 1 << 7;
const STATUS_NULL_COUNT: u32 = 1 << 6;

@unmanaged
export class PitCounter {
  /** Tick at which the counting element holds `count`; one after the write that loads it. */
  start: u64;
  /** Tick up to which rising edges of OUT have been counted. */
  seen: u64;
  /** While `frozen`: ticks counted before the gate closed. */
  frozenElapsed: u64;
  /** Tick at which `nextCount` takes over in modes 2 and 3. */
  switchTick: u64;
  mode: u32;
  access: u32;
  /** Programmed count, 1..65536 (1..10000 in BCD). */
  count: u32;
  /** Count written that is not in the counting element yet; 0: none. */
  nextCount: u32;
  /** What a stopped counter reads as. */
  idleCount: u32;
  bcd: bool;
  gate: bool;
  /** Counting, or has counted to its end. */
  active: bool;
  /** The gate has stopped the counting. */
  frozen: bool;
  /** Level of OUT from the write or trigger until the clock that loads the count. */
  heldOut: bool;
  /** The high byte comes next: of a count being written, of a count being read. */
  writeHigh: bool;
  readHigh: bool;
  lowByte: u32;
  countLatched: bool;
  statusLatched: bool;
  latchedCount: u32;
  latchedStatus: u32;
}

/** Power-on: the data sheet leaves it undefined; here stopped, in mode 0. */
export function counterReset(c: PitCounter, gate: bool, tick: u64): void {
  memory.fill(changetype<usize>(c), 0, offsetof<PitCounter>());
  c.access = ACCESS_BOTH;
  c.count = 65536;
  c.gate = gate;
  c.seen = tick;
}

function isPeriodic(c: PitCounter): bool {
  if (isDefined(CHECKED)) assert(c.mode <= MODE_HARDWARE_STROBE, "pit: mode");
  return c.mode == MODE_RATE || c.mode == MODE_SQUARE_WAVE;
}

function isHardwareTriggered(c: PitCounter): bool {
  if (isDefined(CHECKED)) assert(c.mode <= MODE_HARDWARE_STROBE, "pit: mode");
  return c.mode == MODE_ONE_SHOT || c.mode == MODE_HARDWARE_STROBE;
}

/** Whether the count has reached the counting element. */
function isLoaded(c: PitCounter, tick: u64): bool {
  if (isDefined(CHECKED)) assert(!c.active || c.count != 0, "pit: active without a count");
  return c.active && tick >= c.start;
}

/** Ticks since the full count; only for a loaded counter. */
function elapsed(c: PitCounter, tick: u64): u64 {
  if (isDefined(CHECKED)) assert(c.active && (c.frozen || tick >= c.start), "pit: not loaded");
  return c.frozen ? c.frozenElapsed : tick - c.start;
}

/** Level of OUT. */
export function counterOut(c: PitCounter, tick: u64): bool {
  return c.active ? activeOut(c, tick) : counterIdleOut(c);
}

/** The same while it is not active. */
export function counterIdleOut(c: PitCounter): bool {
  if (isDefined(CHECKED)) assert(!c.active, "pit: it is counting");
  return c.mode != MODE_TERMINAL_COUNT;
}

function activeOut(c: PitCounter, tick: u64): bool {
  if (isDefined(CHECKED)) assert(c.active && c.count != 0, "pit: not loaded");
  const mode = c.mode;
  if (tick < c.start) return c.heldOut;
  const ticks = elapsed(c, tick);
  const count: u64 = c.count;
  switch (mode) {
    case MODE_TERMINAL_COUNT:
    case MODE_ONE_SHOT:
      return ticks >= count;
    case MODE_RATE:
      return c.frozen || ticks % count != count - 1;
    case MODE_SQUARE_WAVE:
      return c.frozen || ticks % count < (count + 1) >> 1;
    default:
      return ticks != count;
  }
}

/** First tick after `tick` at which OUT rises, as programmed now, or NO_TICK. */
function counterNextRise(c: PitCounter, tick: u64): u64 {
  if (isDefined(CHECKED)) assert(c.count != 0 && c.count <= 65536, "pit: count");
  if (!c.active) return NO_TICK;
  const strobe = c.mode == MODE_SOFTWARE_STROBE || c.mode == MODE_HARDWARE_STROBE;
  if (strobe && tick < c.start && !c.heldOut) return c.start; // started anew in the middle of a strobe
  if (c.frozen) return NO_TICK;
  const count: u64 = c.count;
  if (isPeriodic(c)) {
    if (count == 1) return NO_TICK; // illegal: OUT never moves
    return tick < c.start ? c.start + count : c.start + ((tick - c.start) / count + 1) * count;
  }
  const rise = c.start + count + (strobe ? 1 : 0);
  return rise > tick ? rise : NO_TICK;
}

/** Next tick at which OUT may rise or a new count takes over, or NO_TICK. */
export function counterNextEvent(c: PitCounter, tick: u64): u64 {
  assert(c.mode <= MODE_HARDWARE_STROBE, "pit: mode");
  const rise = counterNextRise(c, tick);
  return c.nextCount != 0 && isPeriodic(c) && c.active && !c.frozen ? min<u64>(rise, c.switchTick) : rise;
}

/** Catches up to `tick`; returns how often OUT rose on the way. */
export function counterAdvance(c: PitCounter, tick: u64): u32 {
  if (isDefined(CHECKED)) assert(c.nextCount <= 65536, "pit: count");
  if (!c.active) {
    c.seen = max(c.seen, tick);
    return 0;
  }
  let rises: u32 = 0;
  if (c.nextCount != 0 && isPeriodic(c) && c.active && !c.frozen && tick >= c.switchTick) {
    rises = risesUntil(c, c.switchTick);
    switchCount(c);
  }
  return rises + risesUntil(c, tick);
}

function risesUntil(c: PitCounter, tick: u64): u32 {
  if (isDefined(CHECKED)) assert(c.count != 0, "pit: count");
  const from = c.seen;
  if (tick <= from) return 0;
  c.seen = tick;
  const first = counterNextRise(c, from);
  if (first > tick) return 0;
  return isPeriodic(c) ? <u32>((tick - first) / <u64>c.count) + 1 : 1;
}

/** The count written during the last period or half-period takes over. */
function switchCount(c: PitCounter): void {
  assert(c.nextCount != 0 && isPeriodic(c), "pit: no count waits");
  const inLowHalf = c.mode == MODE_SQUARE_WAVE && !counterOut(c, c.switchTick);
  c.count = c.nextCount;
  c.nextCount = 0;
  c.start = c.switchTick - (inLowHalf ? <u64>((c.count + 1) >> 1) : 0);
}

/** What the counting element holds, in binary or BCD as programmed. */
function currentCount(c: PitCounter, tick: u64): u32 {
  if (isDefined(CHECKED)) assert(c.count != 0 && c.count <= 65536, "pit: count");
  const modulus: u32 = c.bcd ? 10000 : 65536;
  let value = c.idleCount;
  if (c.active) {
    const ticks: u64 = isLoaded(c, tick) ? elapsed(c, tick) : 0;
    if (c.mode == MODE_SQUARE_WAVE) value = squareWaveCount(c, <u32>(ticks % <u64>c.count));
    else if (c.mode == MODE_RATE) value = c.count - <u32>(ticks % <u64>c.count);
    else value = c.count + modulus - <u32>(ticks % <u64>modulus);
  }
  value %= modulus;
  return c.bcd ? toBcd(value) : value;
}

/** Mode 3 counts down by two, twice a period; odd counts start from one less. */
function squareWaveCount(c: PitCounter, phase: u32): u32 {
  if (isDefined(CHECKED)) assert(phase < c.count, "pit: phase");
  const high = (c.count + 1) >> 1;
  return (c.count & ~1) - 2 * (phase < high ? phase : phase - high);
}

function toBcd(value: u32): u32 {
  assert(value < 10000, "pit: four digits");
  return (value % 10) | (((value / 10) % 10) << 4) | (((value / 100) % 10) << 8) | ((value / 1000) << 12);
}

function fromBcd(value: u32): u32 {
  assert(value <= 0xffff, "pit: four digits");
  return (value & 15) + ((value >> 4) & 15) * 10 + ((value >> 8) & 15) * 100 + (value >> 12) * 1000;
}

/** Control word for this counter: 5..4 access, 3..1 mode, 0 BCD. Counting stops until a count is written. */
export function counterSetMode(c: PitCounter, word: u32, tick: u64): void {
  assert(word <= 0xff, "pit: a byte");
  assert(((word >> 4) & 3) != ACCESS_LATCH, "pit: another command");
  c.idleCount = currentCount(c, tick);
  if (c.bcd) c.idleCount = fromBcd(c.idleCount);
  const mode = (word >> 1) & 7;
  c.mode = mode > MODE_HARDWARE_STROBE ? mode & 3 : mode;
  c.access = (word >> 4) & 3;
  c.bcd = (word & 1) != 0;
  c.active = false;
  c.frozen = false;
  c.nextCount = 0;
  c.writeHigh = false;
  c.readHigh = false;
  c.countLatched = false;
  c.statusLatched = false;
}

/** A byte written to the counter's port, low byte first where both are due. */
export function counterWrite(c: PitCounter, byte: u32, tick: u64): void {
  assert(byte <= 0xff, "pit: a byte");
  assert(c.access >= ACCESS_LOW && c.access <= ACCESS_BOTH, "pit: access mode");
  switch (c.access) {
    case ACCESS_LOW:
      loadCount(c, byte, tick);
      break;
    case ACCESS_HIGH:
      loadCount(c, byte << 8, tick);
      break;
    default:
      if (c.writeHigh) {
        loadCount(c, (byte << 8) | c.lowByte, tick);
      } else {
        c.lowByte = byte;
        if (c.mode == MODE_TERMINAL_COUNT) stop(c, tick);
      }
      c.writeHigh = !c.writeHigh;
      break;
  }
}

/** Mode 0: the first of two bytes stops the counting and takes OUT low. */
function stop(c: PitCounter, tick: u64): void {
  assert(c.mode == MODE_TERMINAL_COUNT, "pit: mode");
  const value = currentCount(c, tick);
  c.idleCount = c.bcd ? fromBcd(value) : value;
  c.active = false;
}

/** A complete count: loaded with the next clock, or kept for the next trigger, period or half-period. */
function loadCount(c: PitCounter, written: u32, tick: u64): void {
  assert(written <= 0xffff, "pit: count");
  const modulus: u32 = c.bcd ? 10000 : 65536;
  const value = c.bcd ? fromBcd(written) % modulus : written;
  const count = value == 0 ? modulus : value;
  if (isHardwareTriggered(c) || (isPeriodic(c) && isLoaded(c, tick))) {
    c.nextCount = count;
    if (isPeriodic(c) && !c.frozen) c.switchTick = nextBoundary(c, tick);
    return;
  }
  begin(c, count, tick);
}

/** Starts over with a full count; a closed gate holds it there. */
function begin(c: PitCounter, count: u32, tick: u64): void {
  assert(count != 0 && count <= 65536, "pit: count");
  c.heldOut = c.mode != MODE_TERMINAL_COUNT && counterOut(c, tick);
  c.count = count;
  c.active = true;
  c.frozen = !c.gate && !isHardwareTriggered(c);
  c.frozenElapsed = 0;
  c.start = tick + 1;
}

/** End of the current period, or in mode 3 half-period. */
function nextBoundary(c: PitCounter, tick: u64): u64 {
  if (isDefined(CHECKED)) assert(isPeriodic(c) && isLoaded(c, tick), "pit: not loaded");
  const count: u64 = c.count;
  const phase = (tick - c.start) % count;
  const high = (count + 1) >> 1;
  const end = c.mode == MODE_SQUARE_WAVE && phase < high ? high : count;
  assert(end > phase, "pit: phase");
  return tick + (end - phase);
}

/**
 * The gate input. It stops modes 0, 2, 3 and 4 while low; its rise restarts modes 2 and 3 and triggers modes
 * 1 and 5.
 */
export function counterSetGate(c: PitCounter, gate: bool, tick: u64): void {
  if (isDefined(CHECKED)) assert(!c.active || !c.frozen || !c.gate, "pit: an open gate freezes nothing");
  if (gate == c.gate) return;
  c.gate = gate;
  if (isHardwareTriggered(c)) {
    if (gate) trigger(c, tick);
  } else if (!gate) {
    freeze(c, tick);
  } else if (c.active) {
    if (isPeriodic(c)) restart(c, tick);
    else if (tick >= c.start) c.start = tick - c.frozenElapsed;
    c.frozen = false;
  }
}

function trigger(c: PitCounter, tick: u64): void {
  assert(c.gate && isHardwareTriggered(c), "pit: the gate triggers modes 1 and 5");
  if (c.nextCount == 0 && !c.active) return;
  const count = c.nextCount != 0 ? c.nextCount : c.count;
  c.nextCount = 0;
  begin(c, count, tick);
}

function freeze(c: PitCounter, tick: u64): void {
  assert(!c.gate, "pit: an open gate");
  if (!c.active) return;
  c.frozenElapsed = isLoaded(c, tick) ? elapsed(c, tick) : 0;
  c.frozen = true;
}

function restart(c: PitCounter, tick: u64): void {
  assert(isPeriodic(c), "pit: the gate restarts modes 2 and 3");
  if (c.nextCount != 0) c.count = c.nextCount;
  c.nextCount = 0;
  c.heldOut = true;
  c.start = tick + 1;
}

/** Latches the present count until it is read; ignored while one is held. */
export function counterLatchCount(c: PitCounter, tick: u64): void {
  if (c.countLatched) return;
  c.countLatched = true;
  c.latchedCount = currentCount(c, tick);
  if (isDefined(CHECKED)) assert(c.latchedCount <= 0xffff, "pit: count");
}

/** Latches the status: 7 OUT, 6 null count, 5..4 access, 3..1 mode, 0 BCD. Ignored while one is held. */
export function counterLatchStatus(c: PitCounter, tick: u64): void {
  assert(c.mode <= MODE_HARDWARE_STROBE && c.access <= ACCESS_BOTH, "pit: mode");
  if (c.statusLatched) return;
  c.statusLatched = true;
  const isNull = !isLoaded(c, tick) || c.nextCount != 0;
  c.latchedStatus =
    (counterOut(c, tick) ? STATUS_OUT : 0) |
    (isNull ? STATUS_NULL_COUNT : 0) |
    (c.access << 4) |
    (c.mode << 1) |
    (c.bcd ? 1 : 0);
}

/** A byte read from the counter's port: a latched status first, then the latched or running count. */
export function counterRead(c: PitCounter, tick: u64): u32 {
  if (isDefined(CHECKED)) assert(c.latchedStatus <= 0xff, "pit: status");
  if (c.statusLatched) {
    c.statusLatched = false;
    return c.latchedStatus;
  }
  const value = c.countLatched ? c.latchedCount : currentCount(c, tick);
  assert(value <= 0xffff, "pit: count");
  const high = c.access == ACCESS_HIGH || (c.access == ACCESS_BOTH && c.readHigh);
  if (c.access == ACCESS_BOTH) c.readHigh = !c.readHigh;
  if (!c.readHigh) c.countLatched = false;
  return high ? value >> 8 : value & 0xff;
}
