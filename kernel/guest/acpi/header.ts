// The header that every ACPI table but RSDP and FACS starts with (ACPI specification, "System Description Table Header").
//
//   0          4       8         9         10      16            24            28          32                36
//   signature  length  revision  checksum  OEM ID  OEM table ID  OEM revision  creator ID  creator revision
import { checksum, put32, put8, putText, writerAt } from "./writer";

const LENGTH: u32 = 4;
const CHECKSUM: u32 = 9;
const OEM_REVISION: u32 = 1;
const CREATOR_REVISION: u32 = 1;

/** Starts a table; returns its linear address for `tableEnd`. */
export function tableStart(signature: string, revision: u32): usize {
  const start = writerAt();
  putText(signature);
  put32(0);
  put8(revision);
  put8(0);
  putText("TYPVSR");
  putText("TYPEVISR");
  put32(OEM_REVISION);
  putText("TYVR");
  put32(CREATOR_REVISION);
  return start;
}

/** Fills in length and checksum. */
export function tableEnd(start: usize): void {
  const bytes = <u32>(writerAt() - start);
  store<u32>(start + LENGTH, bytes);
  store<u8>(start + CHECKSUM, 0);
  store<u8>(start + CHECKSUM, <u8>checksum(start, bytes));
}
