// The computer's I/O APICs: everything masked, and single lines let through to the boot CPU.
// (Intel 82093AA data sheet, "Register Description".)
import { phys_load32, phys_store32 } from "../arch/intrinsics";
import { mapDevice } from "../mm/paging";
import { ioApic, isaRoute, madtIoApicCount } from "./madt";

// The two memory-mapped registers, and the indirect ones behind them.
const IO_SELECT: u64 = 0x00;
const IO_WINDOW: u64 = 0x10;
const IO_VERSION: u32 = 0x01;
const IO_REDIRECTION: u32 = 0x10;

// Redirection entry, low half: vector, polarity, trigger mode, mask; high half: destination in bits 31..24.
const ENTRY_ACTIVE_LOW: u32 = 1 << 13;
const ENTRY_LEVEL: u32 = 1 << 15;
const ENTRY_MASKED: u32 = 1 << 16;
const DESTINATION_SHIFT: u32 = 24;

/** Masks every input of every I/O APIC. */
export function ioApicStart(): void {
  for (let i: u32 = 0; i < madtIoApicCount(); i++) {
    const address = ioApic(i).address;
    mapDevice(address, 0x20);
    for (let input: u32 = 0, n = inputs(address); input < n; input++)
      write(address, IO_REDIRECTION + 2 * input, ENTRY_MASKED);
  }
}

/** Sends ISA interrupt `line` as `vector` to the CPU with this APIC id (below 255). False: no I/O APIC has that input. */
export function ioApicRouteIsa(line: u32, vector: u32, apicId: u32): bool {
  const route = isaRoute(line);
  for (let i: u32 = 0; i < madtIoApicCount(); i++) {
    const entry = ioApic(i);
    const input = route.gsi - entry.base;
    if (route.gsi < entry.base || input >= inputs(entry.address)) continue;
    const low = vector | (route.activeLow ? ENTRY_ACTIVE_LOW : 0) | (route.level ? ENTRY_LEVEL : 0);
    write(entry.address, IO_REDIRECTION + 2 * input + 1, apicId << DESTINATION_SHIFT);
    write(entry.address, IO_REDIRECTION + 2 * input, low);
    return true;
  }
  return false;
}

function inputs(address: u64): u32 {
  return ((read(address, IO_VERSION) >> 16) & 0xff) + 1;
}

function read(address: u64, register: u32): u32 {
  phys_store32(address + IO_SELECT, register);
  return phys_load32(address + IO_WINDOW);
}

function write(address: u64, register: u32, value: u32): void {
  phys_store32(address + IO_SELECT, register);
  phys_store32(address + IO_WINDOW, value);
}
