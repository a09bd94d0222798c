// A hypervisor that fails on purpose, in the way that option `crash` names: it is built in place of kernel/main.ts and uses
// the same start, report and end.
import {
  LAYOUT_CPU_BLOCK,
  LAYOUT_MULTIBOOT_INFO,
  LAYOUT_SYMTAB_START,
  LAYOUT_TEXT_START,
} from "../../kernel/abi/layout";
import { reportFault } from "../../kernel/arch/fault";
import { cpuEnableFeatures } from "../../kernel/arch/features";
import { out8, phys_load8, phys_store8, phys_store64, xsetbv } from "../../kernel/arch/intrinsics";
import { PerCpu } from "../../kernel/arch/percpu";
import { logPortStart } from "../../kernel/drivers/logport";
import { multibootRead } from "../../kernel/drivers/multiboot";
import { machineStop, powerStart } from "../../kernel/drivers/power";
import { arenaNew } from "../../kernel/lib/arena";
import { bootLayout } from "../../kernel/lib/layout";
import { LOG_INFO, logLine, logSetSink, logText } from "../../kernel/lib/log";
import { optionIs } from "../../kernel/lib/options";
import { panicSetStop } from "../../kernel/lib/panic";
import { symbolsStart } from "../../kernel/lib/symbols";
import { IMAGE_BASE, pagingStart } from "../../kernel/mm/paging";
import { ramStart } from "../../kernel/mm/ram";

export function kmain(): void {
  multibootRead(bootLayout(LAYOUT_MULTIBOOT_INFO));
  logPortStart();
  powerStart();
  panicSetStop(machineStop);
  symbolsStart(bootLayout(LAYOUT_SYMTAB_START) - IMAGE_BASE);
  cpuEnableFeatures();
  ramStart();
  pagingStart();
  phys_store64(bootLayout(LAYOUT_CPU_BLOCK), changetype<usize>(arenaNew<PerCpu>()));
  logLine(LOG_INFO, "about to fail");
  outer(1);
  logLine(LOG_INFO, "nothing failed");
  machineStop(0);
}

/** Numbers that no optimiser knows. */
let one: u32 = 1;

@unmanaged
class Pair {
  first: u32;
  second: u32;
}

const nowhere: Pair = changetype<Pair>(0);
let operation: (value: u32) => u32 = addOne;

function addOne(value: u32): u32 {
  return value + one;
}

function outer(depth: u32): void {
  if (depth != 0) {
    outer(depth - 1);
    return;
  }
  if (optionIs("crash", "assert")) failAssertion();
  if (optionIs("crash", "throw")) throw new Error("thrown on purpose");
  if (optionIs("crash", "unreachable")) reachUnreachable();
  if (optionIs("crash", "null")) one = readNull();
  if (optionIs("crash", "oob")) readBeyond();
  if (optionIs("crash", "copy")) copyBeyond();
  if (optionIs("crash", "div0")) one = divide(one, one - 1);
  if (optionIs("crash", "indirect")) callNothing();
  if (optionIs("crash", "stack")) one = <u32>overflow(one);
  if (optionIs("crash", "physical")) one = readNowhere();
  if (optionIs("crash", "text")) writeCode();
  if (optionIs("crash", "gp")) clearXcr0();
  if (optionIs("crash", "nested")) failTwice();
  if (optionIs("crash", "inlined")) one = inlinedTwice(one);
}

/** So small that a call takes as much room: inlined by the code generator. Further callers keep asc from doing it. */
function inlinedOnce(address: u32): u32 {
  return load<u32>(address | 0x7fff_8000);
}

function inlinedTwice(address: u32): u32 {
  return inlinedOnce(address) * 3;
}

export function otherCaller(address: u32): u32 {
  return inlinedTwice(inlinedOnce(address));
}

function failAssertion(): void {
  assert(one == 2, "one is not two");
}

function reachUnreachable(): void {
  if (one == 1) unreachable();
}

function readNull(): u32 {
  return nowhere.second;
}

function readBeyond(): void {
  one = load<u32>(0x7fff_0000 + one);
}

function copyBeyond(): void {
  memory.copy(8192, 0xffff_0000, one << 20);
}

function readNowhere(): u32 {
  return phys_load8(0x12_3456_8000);
}

/** Code is read-only in the direct map too. */
function writeCode(): void {
  phys_store8(bootLayout(LAYOUT_TEXT_START) - IMAGE_BASE, 0xcc);
}

/** XCR0 without the x87 bit is invalid (SDM, "XSETBV"). */
function clearXcr0(): void {
  xsetbv(0, 0);
}

function divide(a: u32, b: u32): u32 {
  return a / b;
}

/** The slot behind the last function of the table. */
function callNothing(): void {
  const slot = memory.data(8);
  store<u32>(slot, 0xffff);
  operation = changetype<(value: u32) => u32>(slot);
  one = operation(one);
}

function overflow(depth: u64): u64 {
  return depth == 0 ? 0 : overflow(depth + one) + depth * 3;
}

/** A log whose sink faults: the report of the first failure raises the second. */
function failTwice(): void {
  logSetSink(faultingSink);
  logText("x");
}

function faultingSink(byte: u32): void {
  out8(0xe9, byte);
  one = nowhere.first;
}

export function exception(vector: u32, frame: u64): void {
  reportFault(vector, frame);
}

export function interrupt(_vector: u32): void {}
