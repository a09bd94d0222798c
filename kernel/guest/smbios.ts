// SMBIOS: a 64-bit entry point and three structures, so that the guest can say what it runs on.
// Source: DMTF DSP0134, "SMBIOS 3.0 (64-bit) Entry Point", "BIOS Information", "System Information", "End-of-Table".
import { guestWrite } from "../mm/guestmem";
import {
  checksum,
  put16,
  put32,
  put64,
  put8,
  putText,
  putZeros,
  writerBuffer,
  writerOffset,
  writerStart,
} from "./acpi/writer";
import { SMBIOS } from "./memory-map";
import { Vm } from "./vm";

/** Entry point and padding; the structures follow. */
const ENTRY_BYTES: u32 = 0x18;
const STRUCTURES: u32 = 0x20;
/** BIOS characteristics: not supported, as nothing here is a real BIOS's; extension byte 2, bit 4: virtual machine. */
const CHARACTERISTICS_UNSUPPORTED: u64 = 1 << 3;
const EXTENSION_VIRTUAL_MACHINE: u32 = 1 << 4;
const WAKE_UP_POWER_SWITCH: u32 = 6;

/** Writes the tables into the guest's BIOS area. */
export function writeSmbios(vm: Vm): void {
  writerStart();
  putZeros(STRUCTURES);
  writeBiosInformation();
  writeSystemInformation(vm);
  writeStructure(127, 4, 2);
  endStrings(false);
  fillEntryPoint(writerBuffer(), writerOffset() - STRUCTURES);
  assert(guestWrite(vm.memory, SMBIOS, writerBuffer(), writerOffset()), "smbios: no RAM for the tables");
}

/**
 *   0       5         6       7      8      9        10                  11        12            16
 *   _SM3_   checksum  length  major  minor  docrev   entry point rev 1   reserved  maximum size  address
 */
function fillEntryPoint(at: usize, bytes: u32): void {
  store<u32>(at, 0x334d535f);
  store<u8>(at + 4, 0x5f);
  store<u8>(at + 6, <u8>ENTRY_BYTES);
  store<u8>(at + 7, 3);
  store<u8>(at + 10, 1);
  store<u32>(at + 12, bytes);
  store<u64>(at + 16, SMBIOS + STRUCTURES);
  store<u8>(at + 5, <u8>checksum(at, ENTRY_BYTES));
}

/** Header of a structure; handles are its type. */
function writeStructure(type: u32, bytes: u32, handle: u32): void {
  put8(type);
  put8(bytes);
  put16(handle);
}

function writeBiosInformation(): void {
  writeStructure(0, 0x18, 0);
  put8(1); // vendor
  put8(2); // version
  put16(0xe000); // starting segment
  put8(3); // release date
  put8(1); // 128 KiB: (n + 1) * 64
  put64(CHARACTERISTICS_UNSUPPORTED);
  put8(0);
  put8(EXTENSION_VIRTUAL_MACHINE);
  put32(0xffff0000); // BIOS release 0.0, no embedded controller
  putString("Typevisor");
  putString("0.1");
  putString("01/01/2026");
  endStrings(true);
}

function writeSystemInformation(vm: Vm): void {
  writeStructure(1, 0x1b, 1);
  put8(1); // manufacturer
  put8(2); // product
  put8(0);
  put8(0);
  // A UUID of version 8 (vendor-specific): it tells the VMs of one hypervisor apart.
  putText("typv");
  put32(0x8000_0000 | vm.index);
  putText("\x80ypevisr");
  put8(WAKE_UP_POWER_SWITCH);
  put8(0);
  put8(0);
  putString("Typevisor");
  putString("Virtual Machine");
  endStrings(true);
}

function putString(text: string): void {
  putText(text);
  put8(0);
}

/** Ends a structure's strings: one zero after the last one's own, two if there were none. */
function endStrings(some: bool): void {
  put8(0);
  if (!some) put8(0);
}
