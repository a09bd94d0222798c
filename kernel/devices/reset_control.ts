// The reset control register of PC chipsets, port CF9h (Intel PCH data sheets, "Reset Control Register"),
// named in the ACPI FADT as RESET_REG with RESET_VALUE 06h.
//
//   7..4      3                2          1             0
//   reserved  full power cycle reset CPU  system reset  reserved
import { arenaNew } from "../lib/arena";
import { isPortSize } from "../lib/sizes";

/** Value that resets the machine: RST_CPU going from 0 to 1 with SYS_RST set. */
export const RESET_CONTROL_VALUE: u32 = 0x06;

const SYSTEM_RESET: u32 = 1 << 1;
const RESET_CPU: u32 = 1 << 2;
const FULL_RESET: u32 = 1 << 3;

@unmanaged
export class ResetControl {
  /** The guest asked for a reset; the platform acts on it and resets this device too. */
  resetRequested: bool;
  value: u32;
}

/** Storage for one; boot time only. */
export function resetControlNew(): ResetControl {
  return arenaNew<ResetControl>();
}

export function resetControlReset(d: ResetControl): void {
  d.resetRequested = false;
  d.value = 0;
}

/** The register holds what was written, but RST_CPU always reads as 0. Bytes past it read as ones. */
export function resetControlRead(d: ResetControl, offset: u32, size: u32, _now: u64): u32 {
  assert(isPortSize(size), "reset_control: bytes of an access");
  if (offset != 0) return 0xffffffff;
  assert((d.value & RESET_CPU) == 0, "reset_control: RST_CPU reads as 0");
  return d.value | (size > 1 ? 0xffffff00 : 0);
}

/** A 1 in RST_CPU starts the reset, hard or soft as SYS_RST says: to a virtual machine both are the same. */
export function resetControlWrite(d: ResetControl, offset: u32, _size: u32, value: u32, _now: u64): void {
  assert(isPortSize(_size), "reset_control: bytes of an access");
  if (offset != 0) return;
  if ((value & RESET_CPU) != 0) d.resetRequested = true;
  d.value = value & (SYSTEM_RESET | FULL_RESET);
}
