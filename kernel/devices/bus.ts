// Who answers at which port and at which guest-physical address: one byte per port, and a short list of MMIO
// ranges. The bus knows device numbers only; what a number means is kernel/guest/platform.ts's business.
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { MAX_MMIO_RANGES } from "../lib/limits";
import { isAccessSize } from "../lib/sizes";

/** Device number of ports and addresses that nobody claimed. */
export const NO_DEVICE: u32 = 0;
/** Result of `busFindMmio` when no range holds the access. */
const NO_RANGE: i32 = -1;

const PORTS: u32 = 65536;

/** One MMIO range; `end` is the address of its last byte. */
@unmanaged
export class MmioRange {
  start: u64;
  end: u64;
  device: u32;
  reserved: u32;
}

/** Ends in the port table (65536 x u8), then the MMIO ranges. */
@unmanaged
export class Bus {
  rangeCount: u32;
  /** Range that the last `busFindMmio` found: accesses come in runs. */
  lastFound: u32;
}

/** An empty bus; boot time only. */
export function busNew(): Bus {
  return arenaNewWithTail<Bus>(<usize>PORTS + <usize>MAX_MMIO_RANGES * offsetof<MmioRange>());
}

/** Makes `count` ports from `first` on answer as `device` (1..255). Claiming a port twice is a bug. */
export function busClaimPorts(bus: Bus, first: u32, count: u32, device: u32): void {
  assert(device != NO_DEVICE && device <= 255, "bus: device number");
  assert(count != 0 && count <= PORTS && first <= PORTS - count, "bus: port range");
  for (let port = first; port < first + count; port++) {
    const entry = tailOf(bus) + <usize>port;
    assert(load<u8>(entry) == NO_DEVICE, "bus: port claimed twice");
    store<u8>(entry, <u8>device);
  }
}

/** Device number at `port` (only its low 16 bits count), or NO_DEVICE. */
export function busPortDevice(bus: Bus, port: u32): u32 {
  if (isDefined(CHECKED)) assert(port < PORTS, "bus: port");
  return load<u8>(tailOf(bus) + <usize>(port & 0xffff));
}

/** The MMIO range at `index` (below `rangeCount`). */
export function busRange(bus: Bus, index: u32): MmioRange {
  if (isDefined(CHECKED)) assert(index <= bus.rangeCount && index < MAX_MMIO_RANGES, "bus: no such range");
  return changetype<MmioRange>(tailOf(bus) + <usize>PORTS + <usize>index * offsetof<MmioRange>());
}

/** Makes `bytes` bytes of guest-physical addresses from `start` on answer as `device`. Overlaps are a bug. */
export function busClaimMmio(bus: Bus, start: u64, bytes: u64, device: u32): void {
  assert(device != NO_DEVICE, "bus: device number");
  assert(bytes != 0 && start <= u64.MAX_VALUE - (bytes - 1), "bus: MMIO range");
  assert(bus.rangeCount < MAX_MMIO_RANGES, "bus: too many MMIO ranges");
  assert(device <= 255, "bus: device number");
  const end = start + (bytes - 1);
  for (let i: u32 = 0; i < bus.rangeCount; i++) {
    const other = busRange(bus, i);
    assert(end < other.start || start > other.end, "bus: MMIO ranges overlap");
  }
  const range = busRange(bus, bus.rangeCount);
  range.start = start;
  range.end = end;
  range.device = device;
  bus.rangeCount += 1;
}

/** Index of the range that wholly holds the `size` bytes at `gpa`, or NO_RANGE. */
export function busFindMmio(bus: Bus, gpa: u64, size: u32): i32 {
  if (isDefined(CHECKED)) assert(isAccessSize(size), "bus: bytes of an access");
  if (isDefined(CHECKED)) assert(bus.rangeCount <= MAX_MMIO_RANGES, "bus: too many MMIO ranges");
  const count = bus.rangeCount;
  const hint = bus.lastFound;
  if (hint < count && holds(busRange(bus, hint), gpa, size)) return <i32>hint;
  for (let i: u32 = 0; i < count; i++) {
    if (!holds(busRange(bus, i), gpa, size)) continue;
    bus.lastFound = i;
    return <i32>i;
  }
  return NO_RANGE;
}

function holds(range: MmioRange, gpa: u64, size: u32): bool {
  if (isDefined(CHECKED)) assert(range.start <= range.end, "bus: MMIO range");
  return gpa >= range.start && gpa <= range.end && range.end - gpa >= <u64>(size - 1);
}
