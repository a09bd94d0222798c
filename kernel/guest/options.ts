// What the command line and the loader's modules ask for: fills the table of VMs. Both are described in README.md:
//
//   command line   vm0.memory=256M vm0.cpus=1 vm0.debug-exit=0xf4 vm0.testdev=1 vm0.restart=0 vm0.lazy=1 vm0.unknown=stop
//   module string  [file name …] vm0.kernel console=ttyS0 quiet       everything after the role is for the guest
//
// Without any role, the first module is vm0's kernel, with the words after its file name, and the second its initrd.
import { BootModule, bootInfo, bootModule, commandLine } from "../lib/bootinfo";
import {
  MAX_COMMAND_LINE,
  MAX_GUEST_MEMORY,
  RUNNABLE_VCPUS_PER_VM,
  MAX_VMS,
  MIN_GUEST_MEMORY,
} from "../lib/limits";
import { LOG_ERROR, logBytes, logDecimal, logEnd, logStart, logText } from "../lib/log";
import { NOT_A_NUMBER, parseNumber } from "../lib/options";
import { problem, problemBytes, problemEnd, problemStart } from "./problem";
import { afterPrefix, copyText, isBlank, nextWord, skipBlanks, wordBytes } from "./text";
import {
  GuestModule,
  guestModuleAdd,
  guestModuleNew,
  MAX_GUEST_MODULES,
  Vm,
  vmAt,
  vmCount,
  vmNew,
} from "./vm";

const DEFAULT_MEMORY: u64 = 256 << 20;
/** Guest memory is a multiple of this, bytes. */
const MEMORY_UNIT: u64 = 4096;
const NO_VM: u32 = U32.MAX_VALUE;

const ROLE_NONE: u32 = 0;
const ROLE_KERNEL: u32 = 1;
const ROLE_INITRD: u32 = 2;
const ROLE_MODULE: u32 = 3;

/**
 * Describes every VM that the command line and the modules name, in the table of kernel/guest/vm.ts. False: something is
 * wrong, and the log says what, where and what to do; no VM may start then.
 */
export function describeVms(): bool {
  const vms = highestVm() + 1;
  if (vms > MAX_VMS) return tooManyVms(vms);
  for (let i: u32 = 0; i < vms; i++) setDefaults(vmNew());
  return readWords() && readModules() && checkVms();
}

function tooManyVms(vms: u32): bool {
  logStart(LOG_ERROR);
  logText("the command line or a module names vm");
  logDecimal(vms - 1);
  logText(", but VMs are numbered from vm0 to vm");
  logDecimal(MAX_VMS - 1);
  return problemEnd("Number them from 0, without gaps");
}

function setDefaults(vm: Vm): void {
  vm.memoryBytes = DEFAULT_MEMORY;
  vm.cpus = 1;
  vm.restart = true;
}

// --- the command line ----------------------------------------------------------------------------------------------------

/** The highest VM number in use, at least 0. */
function highestVm(): u32 {
  let highest: u32 = 0;
  for (let at = skipBlanks(commandLine()); load<u8>(at) != 0; at = nextWord(at))
    highest = higher(highest, at);
  for (let i: u32 = 0; i < bootInfo().moduleCount; i++) {
    if (roleOf(bootModule(i).text) != ROLE_NONE) highest = max(highest, roleVm(bootModule(i).text));
  }
  return highest;
}

function higher(highest: u32, word: usize): u32 {
  const number = vmNumber(word);
  return number != NO_VM && number > highest ? number : highest;
}

/** The N of a word that starts with `vmN.`, else NO_VM; numbers past 999 count as 999. */
function vmNumber(word: usize): u32 {
  let at = afterPrefix(word, "vm");
  if (at == 0) return NO_VM;
  const first = at;
  let number: u32 = 0;
  for (let digit = <u32>load<u8>(at) - 0x30; digit < 10; digit = <u32>load<u8>(++at) - 0x30) {
    number = min(number * 10 + digit, 999);
  }
  return at != first && load<u8>(at) == 0x2e ? number : NO_VM;
}

/** Address after the dot of a word `vmN.…`. */
function afterVm(word: usize): usize {
  while (load<u8>(word) != 0x2e) word++;
  return word + 1;
}

function readWords(): bool {
  let good = true;
  for (let at = skipBlanks(commandLine()); load<u8>(at) != 0; at = nextWord(at)) {
    const number = vmNumber(at);
    if (number != NO_VM && !readWord(vmAt(number), at, afterVm(at))) good = false;
  }
  return good;
}

/** One word `vmN.key=value`; `at` is its key. */
function readWord(vm: Vm, word: usize, at: usize): bool {
  let value = afterPrefix(at, "memory=");
  if (value != 0) return readMemory(vm, value);
  if ((value = afterPrefix(at, "cpus=")) != 0) return readCpus(vm, value);
  if ((value = afterPrefix(at, "debug-exit=")) != 0) return readDebugExit(vm, value);
  if ((value = afterPrefix(at, "restart=")) != 0) {
    if (!isFlag(vm, word, value)) return false;
    vm.restart = load<u8>(value) == 0x31;
    return true;
  }
  if ((value = afterPrefix(at, "lazy=")) != 0) {
    if (!isFlag(vm, word, value)) return false;
    vm.lazy = load<u8>(value) == 0x31;
    return true;
  }
  if ((value = afterPrefix(at, "testdev=")) != 0) {
    if (!isFlag(vm, word, value)) return false;
    vm.testdev = load<u8>(value) == 0x31;
    return true;
  }
  if ((value = afterPrefix(at, "unknown=")) != 0) return readUnknown(vm, word, value);
  startBadWord(vm, word);
  logText(" is no option of a VM");
  return problemEnd(
    "Known ones: memory=SIZE, cpus=N, debug-exit=PORT, testdev=0|1, restart=0|1, lazy=0|1, unknown=fault|stop",
  );
}

function startBadWord(vm: Vm, word: usize): void {
  problemStart(vm);
  logText("command line: `");
  logBytes(word, wordBytes(word));
  logText("`");
}

function isFlag(vm: Vm, word: usize, value: usize): bool {
  const digit = <u32>load<u8>(value) - 0x30;
  if (digit <= 1 && wordBytes(value) == 1) return true;
  startBadWord(vm, word);
  logText(" is neither 0 nor 1");
  return problemEnd("Write 1 for yes or 0 for no");
}

/** What an instruction that is not emulated ends in. */
function readUnknown(vm: Vm, word: usize, value: usize): bool {
  const stop = isWord(value, "stop");
  if (stop || isWord(value, "fault")) {
    vm.stopAtUnknown = stop;
    return true;
  }
  startBadWord(vm, word);
  logText(" is neither fault nor stop");
  return problemEnd("Write fault to give the guest #UD, or stop to end its VM");
}

function isWord(at: usize, word: string): bool {
  return afterPrefix(at, word) != 0 && wordBytes(at) == <u32>word.length;
}

function readMemory(vm: Vm, value: usize): bool {
  const bytes = parseNumber(value);
  if (
    bytes != NOT_A_NUMBER &&
    bytes >= MIN_GUEST_MEMORY &&
    bytes <= MAX_GUEST_MEMORY &&
    bytes % MEMORY_UNIT == 0
  ) {
    vm.memoryBytes = bytes;
    return true;
  }
  problemStart(vm);
  logText("command line: memory=`");
  logBytes(value, wordBytes(value));
  logText("` is not a number of bytes, a multiple of 4K, from ");
  problemBytes(MIN_GUEST_MEMORY);
  logText(" to ");
  problemBytes(MAX_GUEST_MEMORY);
  return problemEnd("Write a number with K, M or G behind it, such as 256M");
}

function readCpus(vm: Vm, value: usize): bool {
  const cpus = parseNumber(value);
  if (cpus >= 1 && cpus <= RUNNABLE_VCPUS_PER_VM) {
    vm.cpus = <u32>cpus;
    return true;
  }
  problemStart(vm);
  logText("command line: cpus=`");
  logBytes(value, wordBytes(value));
  logText("`, but a VM has one virtual CPU");
  return problemEnd("Leave the word out, or write cpus=1");
}

function readDebugExit(vm: Vm, value: usize): bool {
  const port = parseNumber(value);
  if (port >= 1 && port <= 0xffff) {
    vm.debugExitPort = <u32>port;
    return true;
  }
  problemStart(vm);
  logText("command line: debug-exit=`");
  logBytes(value, wordBytes(value));
  logText("` is not an I/O port from 1 to 0xffff");
  return problemEnd("Write a port that no device of the VM has, such as 0xf4");
}

// --- modules -------------------------------------------------------------------------------------------------------------

/** The word of a module's string that gives it a role; its end: none does. */
function roleWord(text: usize): usize {
  let at = skipBlanks(text);
  while (load<u8>(at) != 0 && (vmNumber(at) == NO_VM || roleNamed(afterVm(at)) == ROLE_NONE))
    at = nextWord(at);
  return at;
}

/** The role that a module's string gives it. */
function roleOf(text: usize): u32 {
  const word = roleWord(text);
  return load<u8>(word) == 0 ? ROLE_NONE : roleNamed(afterVm(word));
}

/** The VM in which it has that role; there must be one. */
function roleVm(text: usize): u32 {
  return vmNumber(roleWord(text));
}

/** What of the string is for the guest: all behind the role. */
function roleRest(text: usize): usize {
  const word = roleWord(text);
  const end = word + wordBytes(word);
  return isBlank(load<u8>(end)) ? end + 1 : end;
}

function roleNamed(name: usize): u32 {
  const bytes = wordBytes(name);
  if (bytes != 6) return ROLE_NONE;
  if (afterPrefix(name, "kernel") != 0) return ROLE_KERNEL;
  if (afterPrefix(name, "initrd") != 0) return ROLE_INITRD;
  return afterPrefix(name, "module") != 0 ? ROLE_MODULE : ROLE_NONE;
}

function readModules(): bool {
  const modules = bootInfo().moduleCount;
  let named = false;
  for (let i: u32 = 0; i < modules; i++) {
    if (roleOf(bootModule(i).text) != ROLE_NONE) named = true;
  }
  if (!named) return takeByPlace(modules);
  for (let i: u32 = 0; i < modules; i++) {
    if (!takeByRole(i)) return false;
  }
  return true;
}

/** No roles: kernel, then initrd. */
function takeByPlace(modules: u32): bool {
  const vm = vmAt(0);
  if (modules > 0) {
    const text = skipBlanks(bootModule(0).text);
    fillModule(vm.kernel, bootModule(0), load<u8>(text) == 0 ? text : nextWord(text));
  }
  if (modules > 1) fillModule(vm.initrd, bootModule(1), 0);
  if (modules <= 2) return true;
  return problem(
    vm,
    "more than two modules, and none says what it is for",
    "Put a role into each module's string, such as `vm0.kernel`, `vm0.initrd` or `vm0.module`",
  );
}

function takeByRole(index: u32): bool {
  const module = bootModule(index);
  const role = roleOf(module.text);
  if (role == ROLE_NONE) return moduleWithoutRole(index);
  const vm = vmAt(roleVm(module.text));
  if (role == ROLE_MODULE) return addModule(vm, module);
  const target = role == ROLE_KERNEL ? vm.kernel : vm.initrd;
  if (target.bytes != 0) {
    return problem(vm, "two modules have the same role", "Give a VM one kernel and at most one initrd");
  }
  fillModule(target, module, roleRest(module.text));
  return true;
}

function moduleWithoutRole(index: u32): bool {
  logStart(LOG_ERROR);
  logText("module ");
  logDecimal(index + 1);
  logText(" (`");
  logBytes(bootModule(index).text, MAX_COMMAND_LINE);
  logText("`) does not say what it is for, but others do");
  return problemEnd("Put `vm0.kernel`, `vm0.initrd` or `vm0.module` into its string");
}

function addModule(vm: Vm, module: BootModule): bool {
  const added = guestModuleNew();
  fillModule(added, module, roleRest(module.text));
  if (guestModuleAdd(vm, added)) return true;
  problemStart(vm);
  logText("more than ");
  logDecimal(MAX_GUEST_MODULES);
  logText(" modules");
  return problemEnd("Leave some out");
}

function fillModule(target: GuestModule, source: BootModule, text: usize): void {
  target.hpa = source.start;
  target.bytes = source.bytes;
  target.textLength = text == 0 ? 0 : copyText(target.text, text, MAX_COMMAND_LINE);
}

// --- the whole -------------------------------------------------------------------------------------------------------------

function checkVms(): bool {
  const advice =
    "Load the guest's kernel as a multiboot module whose string says `vm0.kernel` and its command line";
  if (bootInfo().truncated != 0) {
    logLineTooLong();
    return false;
  }
  for (let i: u32 = 0; i < vmCount(); i++) {
    if (vmAt(i).kernel.bytes == 0) return problem(vmAt(i), "there is no kernel for it", advice);
  }
  return true;
}

function logLineTooLong(): void {
  logStart(LOG_ERROR);
  logText("a command line is longer than ");
  logDecimal(MAX_COMMAND_LINE - 1);
  logText(" bytes. Shorten the guest's or the hypervisor's.");
  logEnd();
}
