// A VM's RAM: host frames, and the nested tables that show them to the guest. RAM is the VM's own, so it is mapped whole at
// creation, or with `lazy` in 2 MiB pieces on first touch.
import { FRAME_BYTES, frameAlloc, framesLargest, framesTotal, NO_HPA } from "../mm/frames";
import { guestAddRegion, guestRegion, guestTranslate } from "../mm/guestmem";
import { nestedCreate, nestedMap } from "../mm/nested";
import { MEMORY_WB, NESTED_ALL, NESTED_EXECUTE, NESTED_READ } from "../mm/rights";
import { POPULATE_DONE, POPULATE_NO_MEMORY, POPULATE_NONE } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { logText } from "../lib/log";
import { ABOVE_4G, ramAbove4G, ramBelow4G, ROM_ALIAS, ROM_BYTES, ROM_SOURCE } from "./memory-map";
import { problem, problemBytes, problemEnd, problemStart } from "./problem";
import { Vm, vmOf } from "./vm";

/** Pieces in which lazy RAM is mapped; RAM starts at a multiple of it, so that large pages fit. */
const LARGE_PAGE: u64 = 2 << 20;

/**
 * Allocates the VM's RAM and its nested tables of `kind` (NESTED_EPT, NESTED_NPT). RAM keeps what was in it: like a PC's
 * after power-up, its contents are undefined. False: not enough memory; the log says so.
 */
export function ramCreate(vm: Vm, kind: u32): bool {
  if (!addRam(vm, 0, ramBelow4G(vm)) || !addRam(vm, ABOVE_4G, ramAbove4G(vm))) return noMemory(vm);
  vm.nestedKind = kind;
  vm.nestedRoot = nestedCreate(kind);
  if (vm.nestedRoot == NO_HPA) return noTables(vm);
  return (vm.lazy || mapAll(vm)) && mapRom(vm);
}

/** RAM of `bytes` bytes at `gpa`: in one piece of host memory, or where there is none so large, in as few as may be. */
function addRam(vm: Vm, gpa: u64, bytes: u64): bool {
  let at = gpa;
  let left = bytes;
  while (left != 0) {
    const piece = min(left, largestPiece());
    const hpa = piece == 0 ? NO_HPA : frameAlloc(piece / FRAME_BYTES, LARGE_PAGE);
    if (hpa == NO_HPA || !guestAddRegion(vm.memory, at, piece, hpa)) return false;
    at += piece;
    left -= piece;
  }
  return true;
}

/** Bytes, a multiple of LARGE_PAGE, that surely fit into the largest free range at a multiple of LARGE_PAGE. */
function largestPiece(): u64 {
  const largest = framesLargest();
  return largest < 2 * LARGE_PAGE ? 0 : (largest - (LARGE_PAGE - FRAME_BYTES)) & ~(LARGE_PAGE - 1);
}

function noMemory(vm: Vm): bool {
  problemStart(vm);
  logText("its memory of ");
  problemBytes(vm.memoryBytes);
  logText(" does not fit into the machine, which has ");
  problemBytes(framesTotal());
  logText(" in all, in pieces of at most ");
  problemBytes(framesLargest());
  return problemEnd("Give the VM less memory, or the machine more");
}

function noTables(vm: Vm): bool {
  return problem(
    vm,
    "no memory is left for its page tables",
    "Give the VM less memory, or the machine a few MiB more than its VMs",
  );
}

function mapAll(vm: Vm): bool {
  for (let i: u32 = 0; i < vm.memory.count; i++) {
    const region = guestRegion(vm.memory, i);
    if (!map(vm, region.gpa, region.hpa, region.bytes)) return noTables(vm);
  }
  return true;
}

/** The BIOS area once more, read-only, where a processor begins after reset. */
function mapRom(vm: Vm): bool {
  const hpa = guestTranslate(vm.memory, ROM_SOURCE, ROM_BYTES);
  assert(hpa != NO_HPA, "ram: no RAM under the BIOS area");
  const rights = NESTED_READ | NESTED_EXECUTE;
  return (
    nestedMap(vm.nestedRoot, vm.nestedKind, ROM_ALIAS, hpa, ROM_BYTES, rights, MEMORY_WB) || noTables(vm)
  );
}

function map(vm: Vm, gpa: u64, hpa: u64, bytes: u64): bool {
  return nestedMap(vm.nestedRoot, vm.nestedKind, gpa, hpa, bytes, NESTED_ALL, MEMORY_WB);
}

/** Nested fault at `gpa`: if that is RAM that is mapped on first touch, maps the 2 MiB around it as far as they are RAM. */
export function populate(vcpu: Vcpu, gpa: u64): u32 {
  const vm = vmOf(vcpu);
  if (!vm.lazy) return POPULATE_NONE;
  const start = gpa & ~(LARGE_PAGE - 1);
  const whole = guestTranslate(vm.memory, start, LARGE_PAGE);
  if (whole != NO_HPA) return mapped(map(vm, start, whole, LARGE_PAGE));
  const page = gpa & ~(FRAME_BYTES - 1);
  const hpa = guestTranslate(vm.memory, page, FRAME_BYTES);
  return hpa == NO_HPA ? POPULATE_NONE : mapped(map(vm, page, hpa, FRAME_BYTES));
}

function mapped(good: bool): u32 {
  return good ? POPULATE_DONE : POPULATE_NO_MEMORY;
}
