// The 8254 interval timer of a PC: three counters, and system control port B (61h), which gates counter 2 to
// the speaker and shows its OUT. The clock is VM time, so that counts are exact whenever they are looked at.
import { div_wide, mul_high } from "../arch/intrinsics";
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { MIN_TIMER_PERIOD_NS } from "../lib/limits";
import {
  ACCESS_LATCH,
  counterAdvance,
  counterLatchCount,
  counterLatchStatus,
  counterNextEvent,
  counterIdleOut,
  counterOut,
  counterRead,
  counterReset,
  counterSetGate,
  counterSetMode,
  counterWrite,
  NO_TICK,
  PitCounter,
} from "./pit_counter";
import { isPortSize } from "../lib/sizes";

/** Input clock, hertz. */
export const PIT_HZ: u64 = 1_193_182;

// Offsets; the platform maps ports to them. Counters 0..2 and the control word are offsets 0..3 (40h-43h).
const CONTROL: u32 = 3;
/** System control port B (61h). */
export const PIT_PORT_B: u32 = 4;

const COUNTERS: u32 = 3;
const SECOND: u64 = 1_000_000_000;
/** Tick at VM time 0: a counter may have begun up to a whole count before. */
const FIRST_TICK: u64 = 65536;

// Port B:
//
//   7..6              5      4               3..2             1        0
//   NMI reasons (no)  OUT 2  refresh toggle  NMI enables (no) speaker  gate 2
const PORT_B_GATE: u32 = 1 << 0;
const PORT_B_REFRESH: u32 = 1 << 4;
const PORT_B_OUT: u32 = 1 << 5;
const PORT_B_WRITABLE: u32 = 0x0f;
/** Memory refresh: a toggle every 18 ticks, about 15 microseconds. */
const REFRESH_TICKS: u64 = 18;

// Read-back command: 7..6 = 3, 5 and 4 clear latch the count and the status, 3..1 select counters.
const READ_BACK: u32 = 3;
const READ_BACK_NO_COUNT: u32 = 1 << 5;
const READ_BACK_NO_STATUS: u32 = 1 << 4;

/** Followed by the three counters. */
@unmanaged
export class Pit8254 {
  /** Writable bits of port B. */
  portB: u32;
  /** Rising edges of OUT 0 that the platform has not taken. */
  edges: u32;
}

/** Storage for one; boot time only. */
export function pit8254New(): Pit8254 {
  return arenaNewWithTail<Pit8254>(COUNTERS * offsetof<PitCounter>());
}

export function pit8254Reset(d: Pit8254): void {
  d.portB = 0;
  d.edges = 0;
  counterReset(counter(d, 0), true, 0);
  counterReset(counter(d, 1), true, 0);
  counterReset(counter(d, 2), false, 0);
}

/** Port read, one byte: the PC's timer sits on an 8-bit bus, so a wider access reads the next ports too. */
export function pit8254Read(d: Pit8254, offset: u32, size: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(offset <= PIT_PORT_B, "pit8254: port");
  assert(isPortSize(size), "pit8254: bytes of an access");
  if (offset == PIT_PORT_B) return pit8254ReadPortB(d, size, now);
  const tick = ticksAt(now);
  catchUp(d, tick);
  let value = readPort(d, offset, tick);
  for (let i: u32 = 1; i < size; i++) value |= readPort(d, offset + i, tick) << (i * 8);
  return value;
}

/** Read of PIT_PORT_B, which calibrations poll in tight loops: only counter 2 shows here. */
export function pit8254ReadPortB(d: Pit8254, size: u32, now: u64): u32 {
  if (isDefined(CHECKED)) assert(isPortSize(size), "pit8254: bytes of an access");
  if (isDefined(CHECKED)) assert((d.portB & ~PORT_B_WRITABLE) == 0, "pit8254: port B");
  const tick = ticksAt(now);
  const c = counter(d, 2);
  if (c.active) counterAdvance(c, tick);
  const out = c.active ? counterOut(c, tick) : counterIdleOut(c);
  const value = d.portB | refresh(tick) | (out ? PORT_B_OUT : 0);
  return size == 1 ? value : value | 0xffffff00;
}

/** Port write; a wider access writes the next ports too. */
export function pit8254Write(d: Pit8254, offset: u32, size: u32, value: u32, now: u64): void {
  if (isDefined(CHECKED)) assert(offset <= PIT_PORT_B, "pit8254: port");
  assert(isPortSize(size), "pit8254: bytes of an access");
  const tick = ticksAt(now);
  catchUp(d, tick);
  const before = counterOut(counter(d, 0), tick);
  writePort(d, offset, value & 0xff, tick);
  for (let i: u32 = 1; i < size && offset + i < PIT_PORT_B; i++)
    writePort(d, offset + i, (value >> (i * 8)) & 0xff, tick);
  if (!before && counterOut(counter(d, 0), tick)) d.edges += 1;
}

/**
 * Rising edges of OUT 0 up to the last access or `pit8254Advance`, once. OUT is low for too short to be
 * sampled: pulse IRQ 0 (low, high) if not zero, then set it to the line.
 */
export function pit8254TakeEdges(d: Pit8254): u32 {
  const edges = d.edges;
  d.edges = 0;
  return edges;
}

/**
 * Next rising edge of OUT 0 (edges closer together than the limit are seen several at once), or
 * U64.MAX_VALUE.
 */
export function pit8254Deadline(d: Pit8254, now: u64): u64 {
  const tick = ticksAt(now);
  catchUp(d, tick);
  const event = counterNextEvent(counter(d, 0), tick);
  if (isDefined(CHECKED)) assert(event > tick, "pit8254: the edge is to come");
  if (event == NO_TICK) return u64.MAX_VALUE;
  const due = nsAt(event);
  return counter(d, 0).count * SECOND < MIN_TIMER_PERIOD_NS * PIT_HZ
    ? max<u64>(due, now + MIN_TIMER_PERIOD_NS)
    : due;
}

export function pit8254Advance(d: Pit8254, now: u64): void {
  catchUp(d, ticksAt(now));
}

function counter(d: Pit8254, index: u32): PitCounter {
  if (isDefined(CHECKED)) assert(index < COUNTERS, "pit8254: no such counter");
  return changetype<PitCounter>(tailOf(d) + <usize>index * offsetof<PitCounter>());
}

/** Tick of the input clock at VM time `now`. */
function ticksAt(now: u64): u64 {
  if (isDefined(CHECKED)) assert(mul_high(now, PIT_HZ) < SECOND, "pit8254: ticks have 64 bits");
  return FIRST_TICK + div_wide(mul_high(now, PIT_HZ), now * PIT_HZ, SECOND);
}

/** First VM time at which `tick` has come. */
function nsAt(tick: u64): u64 {
  assert(tick >= FIRST_TICK, "pit8254: before VM time 0");
  const ticks = tick - FIRST_TICK;
  const high = mul_high(ticks, SECOND);
  if (high >= PIT_HZ) return u64.MAX_VALUE;
  const ns = div_wide(high, ticks * SECOND, PIT_HZ);
  return ns * PIT_HZ == ticks * SECOND ? ns : ns + 1;
}

function catchUp(d: Pit8254, tick: u64): void {
  d.edges += counterAdvance(counter(d, 0), tick);
  counterAdvance(counter(d, 1), tick);
  counterAdvance(counter(d, 2), tick);
  if (isDefined(CHECKED))
    assert(counter(d, 0).seen >= tick && counter(d, 2).seen >= tick, "pit8254: not up to date");
}

function readPort(d: Pit8254, offset: u32, tick: u64): u32 {
  if (offset < COUNTERS) return counterRead(counter(d, offset), tick);
  return 0xff; // the control word cannot be read
}

function refresh(tick: u64): u32 {
  if (isDefined(CHECKED)) assert(tick >= FIRST_TICK, "pit8254: before VM time 0");
  return ((tick / REFRESH_TICKS) & 1) != 0 ? PORT_B_REFRESH : 0;
}

function writePort(d: Pit8254, offset: u32, value: u32, tick: u64): void {
  if (isDefined(CHECKED)) assert(offset <= PIT_PORT_B, "pit8254: port");
  assert(value <= 0xff, "pit8254: a byte");
  if (offset < COUNTERS) {
    counterWrite(counter(d, offset), value, tick);
  } else if (offset == CONTROL) {
    writeControl(d, value, tick);
  } else if (offset == PIT_PORT_B) {
    d.portB = value & PORT_B_WRITABLE;
    counterSetGate(counter(d, 2), (value & PORT_B_GATE) != 0, tick);
  }
}

function writeControl(d: Pit8254, value: u32, tick: u64): void {
  assert(value <= 0xff, "pit8254: a byte");
  const select = value >> 6;
  if (select == READ_BACK) {
    readBack(d, value, tick);
  } else if (((value >> 4) & 3) == ACCESS_LATCH) {
    counterLatchCount(counter(d, select), tick);
  } else {
    counterSetMode(counter(d, select), value, tick);
  }
}

function readBack(d: Pit8254, value: u32, tick: u64): void {
  assert(value >> 6 == READ_BACK, "pit8254: another command");
  for (let i: u32 = 0; i < COUNTERS; i++) {
    if ((value & (2 << i)) == 0) continue;
    if ((value & READ_BACK_NO_COUNT) == 0) counterLatchCount(counter(d, i), tick);
    if ((value & READ_BACK_NO_STATUS) == 0) counterLatchStatus(counter(d, i), tick);
  }
}
