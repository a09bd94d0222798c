// A VM's RAM: host frames, and the nested tables that show them to the guest. RAM is contiguous and the VM's own, so it is
// mapped whole at creation, or with `lazy` in 2 MiB pieces on first touch.
import { frameAlloc, framesLargest, FRAME_BYTES, NO_HPA } from "../mm/frames";
import { guestRegion, guestTranslate } from "../mm/guestmem";
import { nestedCreate, nestedMap } from "../mm/nested";
import { MEMORY_WB, NESTED_ALL } from "../mm/rights";
import { Vcpu } from "../vcpu/vcpu";
import { logText } from "../lib/log";
import { addRam, ramAbove4G, ramBelow4G } from "./memory-map";
import { problem, problemBytes, problemEnd, problemStart } from "./problem";
import { Vm, vmOf } from "./vm";

/** Pieces in which lazy RAM is mapped; RAM starts at a multiple of it, so that large pages fit. */
const LARGE_PAGE: u64 = 2 << 20;

/**
 * Allocates the VM's RAM and its nested tables of `kind` (NESTED_EPT, NESTED_NPT). RAM keeps what was in it: like a PC's
 * after power-up, its contents are undefined. False: not enough memory; the log says so.
 */
export function ramCreate(vm: Vm, kind: u32): bool {
  const below = allocate(ramBelow4G(vm));
  if (below == NO_HPA) return noMemory(vm, ramBelow4G(vm));
  const high = ramAbove4G(vm);
  const above = high == 0 ? 0 : allocate(high);
  if (above == NO_HPA) return noMemory(vm, high);
  addRam(vm, below, above);
  vm.nestedKind = kind;
  vm.nestedRoot = nestedCreate(kind);
  if (vm.nestedRoot == NO_HPA) return noTables(vm);
  return vm.lazy || mapAll(vm);
}

function allocate(bytes: u64): u64 {
  return frameAlloc(bytes / FRAME_BYTES, LARGE_PAGE);
}

function noMemory(vm: Vm, bytes: u64): bool {
  problemStart(vm);
  logText("its memory of ");
  problemBytes(bytes);
  logText(" does not fit into the machine: the largest free piece is ");
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

function map(vm: Vm, gpa: u64, hpa: u64, bytes: u64): bool {
  return nestedMap(vm.nestedRoot, vm.nestedKind, gpa, hpa, bytes, NESTED_ALL, MEMORY_WB);
}

/**
 * Nested fault at `gpa`: if that is RAM that is mapped on first touch, maps the 2 MiB around it as far as they are RAM. False:
 * it is something else, or memory for tables is out.
 */
export function populate(vcpu: Vcpu, gpa: u64): bool {
  const vm = vmOf(vcpu);
  if (!vm.lazy) return false;
  const start = gpa & ~(LARGE_PAGE - 1);
  const whole = guestTranslate(vm.memory, start, LARGE_PAGE);
  if (whole != NO_HPA) return map(vm, start, whole, LARGE_PAGE);
  const page = gpa & ~(FRAME_BYTES - 1);
  const hpa = guestTranslate(vm.memory, page, FRAME_BYTES);
  return hpa != NO_HPA && map(vm, page, hpa, FRAME_BYTES);
}
