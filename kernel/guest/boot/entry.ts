// The processor as boot protocols hand it over: interrupts off, in 32-bit protected or 64-bit long mode with flat segments, or in
// real mode.
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, CR4_PAE } from "../../arch/cr";
import { EFER_LMA, EFER_LME } from "../../arch/msr";
import { guestFill, guestStore64 } from "../../mm/guestmem";
import { change } from "../../vcpu/backend";
import {
  GROUP_CONTROL,
  GROUP_RIP,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  GROUP_TABLES,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
} from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { Vm, vmVcpu } from "../vm";
import { bootGdt, bootPageTables, bootStackTop } from "./boot-data";

// The GDT: Linux's selectors __BOOT_CS and __BOOT_DS, and a task-state segment for the task register.
const SELECTOR_CODE: u32 = 0x10;
const SELECTOR_DATA: u32 = 0x18;
const SELECTOR_TASK: u32 = 0x20;
const GDT_BYTES: u32 = 0x30;
const DESCRIPTOR_CODE32: u64 = 0x00cf9b000000ffff;
const DESCRIPTOR_CODE64: u64 = 0x00af9b000000ffff;
const DESCRIPTOR_DATA: u64 = 0x00cf93000000ffff;
const DESCRIPTOR_TASK: u64 = 0x00008b0000000067;
/** The same in the hidden parts. */
const ACCESS_CODE32: u32 = 0xc09b;
const ACCESS_CODE64: u32 = 0xa09b;
const ACCESS_DATA: u32 = 0xc093;
const ACCESS_TASK: u32 = 0x008b;
const ACCESS_CODE16: u32 = 0x009b;
const ACCESS_DATA16: u32 = 0x0093;
const FLAT_LIMIT: u32 = 0xffffffff;
const REAL_LIMIT: u32 = 0xffff;
const TASK_LIMIT: u32 = 0x67;

const PAGE: u64 = 4096;
const PAGE_PRESENT_WRITABLE: u64 = 3;
const PAGE_LARGE: u64 = 1 << 7;
const LARGE_PAGE: u64 = 2 << 20;
const IDENTITY_GIB: u64 = 4;

/** 32-bit protected mode, paging off. Returns the boot vCPU, whose registers the protocol then sets. */
export function enterProtected(vm: Vm, entry: u64): Vcpu {
  const vcpu = enterFlat(vm, entry, DESCRIPTOR_CODE32, ACCESS_CODE32);
  vcpu.cr0 = CR0_PE | CR0_ET | CR0_NE;
  return vcpu;
}

/** 64-bit mode with the first 4 GiB mapped one to one. */
export function enterLong(vm: Vm, entry: u64): Vcpu {
  writeIdentityMap(vm);
  const vcpu = enterFlat(vm, entry, DESCRIPTOR_CODE64, ACCESS_CODE64);
  vcpu.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
  vcpu.cr3 = bootPageTables(vm);
  vcpu.cr4 = CR4_PAE;
  vcpu.efer = EFER_LME | EFER_LMA;
  return vcpu;
}

/** Real mode: code at `entry`, the stack in the boot data, the other segments at `data`; all multiples of 16 below 1 MiB. */
export function enterReal(vm: Vm, entry: u64, data: u64): Vcpu {
  const vcpu = vmVcpu(vm, 0);
  change(vcpu, GROUP_RIP | GROUP_STACK_FLAGS | GROUP_SEGMENTS | GROUP_CONTROL);
  vcpu.rip = 0;
  vcpu.rsp = bootStackTop(vm) - vm.bootData;
  vcpu.cr0 = CR0_ET;
  for (let index: u32 = SEG_ES; index <= SEG_GS; index++) setParagraph(vcpu, index, data, ACCESS_DATA16);
  setParagraph(vcpu, SEG_CS, entry, ACCESS_CODE16);
  setParagraph(vcpu, SEG_SS, vm.bootData, ACCESS_DATA16);
  return vcpu;
}

function enterFlat(vm: Vm, entry: u64, descriptor: u64, access: u32): Vcpu {
  writeGdt(vm, descriptor);
  const vcpu = vmVcpu(vm, 0);
  change(vcpu, GROUP_RIP | GROUP_STACK_FLAGS | GROUP_SEGMENTS | GROUP_TABLES | GROUP_CONTROL);
  vcpu.rip = entry;
  vcpu.rsp = bootStackTop(vm);
  vcpu.rdx = 0;
  vcpu.gdtrBase = bootGdt(vm);
  vcpu.gdtrLimit = GDT_BYTES - 1;
  setSegment(vcpu, SEG_CS, SELECTOR_CODE, FLAT_LIMIT, access);
  setSegment(vcpu, SEG_DS, SELECTOR_DATA, FLAT_LIMIT, ACCESS_DATA);
  setSegment(vcpu, SEG_ES, SELECTOR_DATA, FLAT_LIMIT, ACCESS_DATA);
  setSegment(vcpu, SEG_SS, SELECTOR_DATA, FLAT_LIMIT, ACCESS_DATA);
  setSegment(vcpu, SEG_FS, SELECTOR_DATA, FLAT_LIMIT, ACCESS_DATA);
  setSegment(vcpu, SEG_GS, SELECTOR_DATA, FLAT_LIMIT, ACCESS_DATA);
  setSegment(vcpu, SEG_TR, SELECTOR_TASK, TASK_LIMIT, ACCESS_TASK);
  return vcpu;
}

function writeGdt(vm: Vm, code: u64): void {
  const gdt = bootGdt(vm);
  guestStore64(vm.memory, gdt, 0);
  guestStore64(vm.memory, gdt + 8, 0);
  guestStore64(vm.memory, gdt + SELECTOR_CODE, code);
  guestStore64(vm.memory, gdt + SELECTOR_DATA, DESCRIPTOR_DATA);
  guestStore64(vm.memory, gdt + SELECTOR_TASK, DESCRIPTOR_TASK);
  guestStore64(vm.memory, gdt + SELECTOR_TASK + 8, 0);
}

function setSegment(vcpu: Vcpu, index: u32, selector: u32, limit: u32, access: u32): void {
  const segment = vcpu.segment(index);
  segment.selector = selector;
  segment.base = 0;
  segment.limit = limit;
  segment.access = access;
}

function setParagraph(vcpu: Vcpu, index: u32, base: u64, access: u32): void {
  assert((base & 15) == 0 && base >> 20 == 0, "boot: no paragraph of real mode");
  setSegment(vcpu, index, <u32>(base >> 4), REAL_LIMIT, access);
  vcpu.segment(index).base = base;
}

/** PML4, PDPT and four page directories of 2 MiB pages. */
function writeIdentityMap(vm: Vm): void {
  const m = vm.memory;
  const root = bootPageTables(vm);
  const pdpt = root + PAGE;
  const directories = pdpt + PAGE;
  assert(guestFill(m, root, 0, 2 * PAGE), "boot: no RAM for page tables");
  guestStore64(m, root, pdpt | PAGE_PRESENT_WRITABLE);
  for (let i: u64 = 0; i < IDENTITY_GIB; i++) {
    guestStore64(m, pdpt + i * 8, (directories + i * PAGE) | PAGE_PRESENT_WRITABLE);
  }
  for (let i: u64 = 0; i < IDENTITY_GIB * 512; i++) {
    guestStore64(m, directories + i * 8, (i * LARGE_PAGE) | PAGE_PRESENT_WRITABLE | PAGE_LARGE);
  }
}
