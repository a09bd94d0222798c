// The guest's accesses to memory-mapped registers: the vCPU's own local APIC first, then what is on the bus.
import { busFindMmio, busRange } from "../devices/bus";
import { hpetRead, hpetRead64, hpetWrite, hpetWrite64 } from "../devices/hpet";
import { ioapicRead, ioapicWrite } from "../devices/ioapic";
import { lapicBase, lapicRead, lapicWrite } from "../devices/lapic";
import { pciEcamRead, pciEcamWrite } from "../devices/pci";
import { testdevMemoryRead, testdevMemoryWrite } from "../devices/testdev";
import { Vcpu } from "../vcpu/vcpu";
import { APIC_BYTES, HPET_BASE, HPET_PAGE_BYTES } from "./memory-map";
import {
  DEVICE_HPET,
  DEVICE_IOAPIC,
  DEVICE_PCI_ECAM,
  DEVICE_RTC,
  DEVICE_TESTDEV_MEMORY,
  lapicOf,
  Platform,
  platformOf,
  testdevOf,
} from "./platform";
import { settleLapic, touch } from "./settle";
import { vmNow, vmOf } from "./vm";

const ALL_ONES: u32 = 0xffffffff;
const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/** Devices' registers are at most 32 bits wide, but for the HPET's: an 8-byte access is two. */
const WORD: u32 = 4;
const PAGE_OFFSET: u32 = 0xfff;

/** Read of 1, 2, 4 or 8 bytes of guest-physical addresses that are not RAM. Unclaimed addresses read as ones. */
export function platformMmioRead(vcpu: Vcpu, gpa: u64, size: u32): u64 {
  if (size <= WORD) return readWord(vcpu, gpa, size);
  if (isHpetRegister(gpa)) {
    const vm = vmOf(vcpu);
    return hpetRead64(platformOf(vm).hpet, <u32>(gpa - HPET_BASE), vmNow(vm));
  }
  return <u64>readWord(vcpu, gpa, WORD) | ((<u64>readWord(vcpu, gpa + WORD, WORD)) << 32);
}

export function platformMmioWrite(vcpu: Vcpu, gpa: u64, size: u32, value: u64): void {
  if (size <= WORD) {
    writeWord(vcpu, gpa, size, <u32>value);
    return;
  }
  if (isHpetRegister(gpa)) {
    const vm = vmOf(vcpu);
    const p = platformOf(vm);
    touchHpet(vcpu, p);
    hpetWrite64(p.hpet, <u32>(gpa - HPET_BASE), value, vmNow(vm));
    return;
  }
  writeWord(vcpu, gpa, WORD, <u32>value);
  writeWord(vcpu, gpa + WORD, WORD, <u32>(value >> 32));
}

/** Whether 8 bytes at `gpa` are one register of the HPET, whose main counter would be torn by two reads. */
function isHpetRegister(gpa: u64): bool {
  return gpa - HPET_BASE < HPET_PAGE_BYTES && (gpa & 7) == 0;
}

/** The HPET may stand in for the RTC, or do so no more. */
function touchHpet(vcpu: Vcpu, p: Platform): void {
  touch(vcpu, p, DEVICE_HPET);
  touch(vcpu, p, DEVICE_RTC);
}

/** Devices' registers are in pages of their own: of an access across two pages, each byte goes to who owns it. */
function crossesPage(gpa: u64, size: u32): bool {
  return (<u32>gpa & PAGE_OFFSET) + size > PAGE_OFFSET + 1;
}

function readBytes(vcpu: Vcpu, gpa: u64, size: u32): u32 {
  let value: u32 = 0;
  for (let i: u32 = 0; i < size; i++) value |= (readWord(vcpu, gpa + i, 1) & 0xff) << (i * 8);
  return value;
}

function writeBytes(vcpu: Vcpu, gpa: u64, size: u32, value: u32): void {
  for (let i: u32 = 0; i < size; i++) writeWord(vcpu, gpa + i, 1, (value >> (i * 8)) & 0xff);
}

function readWord(vcpu: Vcpu, gpa: u64, size: u32): u32 {
  if (crossesPage(gpa, size)) return readBytes(vcpu, gpa, size);
  const l = lapicOf(vcpu);
  const offset = gpa - (lapicBase(l) & APIC_BASE_ADDRESS);
  if (offset < APIC_BYTES) return lapicRead(l, <u32>offset, size, vmNow(vmOf(vcpu)));
  return readDevice(vcpu, gpa, size);
}

function readDevice(vcpu: Vcpu, gpa: u64, size: u32): u32 {
  const p = platformOf(vmOf(vcpu));
  const index = busFindMmio(p.bus, gpa, size);
  if (index < 0) return ALL_ONES;
  const range = busRange(p.bus, <u32>index);
  const at = <u32>(gpa - range.start);
  switch (range.device) {
    case DEVICE_IOAPIC:
      return ioapicRead(p.ioapic, at, size, 0);
    case DEVICE_HPET:
      return hpetRead(p.hpet, at, size, vmNow(vmOf(vcpu)));
    case DEVICE_PCI_ECAM:
      return pciEcamRead(p.pci, at, size, 0);
    case DEVICE_TESTDEV_MEMORY:
      return testdevMemoryRead(testdevOf(p), at, size);
    default:
      return ALL_ONES;
  }
}

function writeWord(vcpu: Vcpu, gpa: u64, size: u32, value: u32): void {
  if (crossesPage(gpa, size)) {
    writeBytes(vcpu, gpa, size, value);
    return;
  }
  const l = lapicOf(vcpu);
  const offset = gpa - (lapicBase(l) & APIC_BASE_ADDRESS);
  if (offset >= APIC_BYTES) {
    writeDevice(vcpu, gpa, size, value);
    return;
  }
  lapicWrite(l, <u32>offset, size, value, vmNow(vmOf(vcpu)));
  settleLapic(vcpu, l);
}

function writeDevice(vcpu: Vcpu, gpa: u64, size: u32, value: u32): void {
  const p = platformOf(vmOf(vcpu));
  const index = busFindMmio(p.bus, gpa, size);
  if (index < 0) return;
  const range = busRange(p.bus, <u32>index);
  const at = <u32>(gpa - range.start);
  switch (range.device) {
    case DEVICE_IOAPIC:
      touch(vcpu, p, DEVICE_IOAPIC);
      ioapicWrite(p.ioapic, at, size, value, 0);
      break;
    case DEVICE_HPET:
      touchHpet(vcpu, p);
      hpetWrite(p.hpet, at, size, value, vmNow(vmOf(vcpu)));
      break;
    case DEVICE_PCI_ECAM:
      pciEcamWrite(p.pci, at, size, value, 0);
      break;
    case DEVICE_TESTDEV_MEMORY:
      testdevMemoryWrite(testdevOf(p), at, size, value);
      break;
    default:
      break;
  }
}
