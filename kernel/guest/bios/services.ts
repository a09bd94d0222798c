// The services of a PC's BIOS, as far as boot loaders in real mode need them: the serial console as screen and keyboard, the
// memory map, the clock's ticks. There are no disks. Sources: IBM, "Personal System/2 and Personal Computer BIOS Interface
// Technical Reference"; ACPI specification, "System Address Map Interfaces" (INT 15h, E820h).
import { CR0_PE, RFLAGS_CF, RFLAGS_ZF } from "../../arch/cr";
import { guestLoad64, guestStore16, guestStore32, guestStore8, guestWrite } from "../../mm/guestmem";
import { change, need } from "../../vcpu/backend";
import { portIn, portOut } from "../../vcpu/machine";
import {
  GROUP_CONTROL,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  SEG_CS,
  SEG_ES,
  SEG_SS,
} from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import {
  BDA_BASE_MEMORY_KIB,
  BDA_EQUIPMENT,
  BDA_KEY,
  BDA_KEY_PRESENT,
  BDA_MIDNIGHT,
  BDA_TICKS,
  buildMemoryMap,
  E820_ENTRY_BYTES,
  HIGH_MEMORY,
  memoryMapEntry,
  ramBelow4G,
} from "../memory-map";
import { PORT_COM1, PORT_PIC_MASTER, PORT_PIC_SLAVE, PORT_RTC } from "../ports";
import { requestReset, Vm, vmOf } from "../vm";
import { INT_KEYBOARD, INT_NO_BOOT, INT_TIMER, NO_STUB, stubVector } from "./stubs";

const INT_VIDEO: u32 = 0x10;
const INT_EQUIPMENT: u32 = 0x11;
const INT_MEMORY_SIZE: u32 = 0x12;
const INT_SYSTEM: u32 = 0x15;
const INT_BOOTSTRAP: u32 = 0x19;
const INT_CLOCK: u32 = 0x1a;
const INT_SECOND_PIC: u32 = 0x70;
const INT_RTC: u32 = 0x70;

/** Distance of the caller's flags from the stack's top: INT pushed them first, then CS and IP. */
const FLAGS_ON_STACK: u64 = 4;
const WORD: u64 = 0xffff;
const SMAP: u32 = 0x534d4150;
const END_OF_INTERRUPT: u32 = 0x20;
/** The clock's register C. */
const RTC_FLAGS: u32 = 0x0c;
/** Line status, behind the data, and its bit for a byte that has come. */
const PORT_COM1_STATUS: u32 = PORT_COM1 + 5;
const RECEIVED: u32 = 1;
/** 80 columns of text, mode 3. */
const VIDEO_MODE: u64 = 0x5003;
const CURSOR_SHAPE: u64 = 0x0607;
const UNSUPPORTED: u32 = 0x86;
const TICKS_PER_DAY: u32 = 0x1800b0;
const KIB_16M: u64 = 0x3c00;
const MIB_16: u64 = 16 << 20;
const NO_BOOT: string = "No bootable device.\r\n";

/**
 * A write to the port for calls of firmware. It is a call if it comes from real mode and from the stub of a vector; from anywhere
 * else it does nothing.
 */
export function biosCall(vcpu: Vcpu): void {
  need(vcpu, GROUP_CONTROL | GROUP_SEGMENTS | GROUP_STACK_FLAGS);
  if ((vcpu.cr0 & CR0_PE) != 0) return;
  const vector = stubVector(vcpu.segment(SEG_CS).base + vcpu.rip);
  if (vector == NO_STUB) return;
  const vm = vmOf(vcpu);
  if (vector == INT_TIMER) tick(vm);
  else if (vector == INT_RTC) silenceRtc(vcpu);
  if (vector < INT_VIDEO) endInterrupt(vcpu, false);
  else if (vector >= INT_SECOND_PIC) endInterrupt(vcpu, true);
  else serve(vm, vcpu, vector);
}

function serve(vm: Vm, vcpu: Vcpu, vector: u32): void {
  switch (vector) {
    case INT_VIDEO:
      return video(vcpu);
    case INT_EQUIPMENT:
      return setWord(vcpu, loadWord(vm, BDA_EQUIPMENT));
    case INT_MEMORY_SIZE:
      return setWord(vcpu, loadWord(vm, BDA_BASE_MEMORY_KIB));
    case INT_SYSTEM:
      return system(vm, vcpu);
    case INT_KEYBOARD:
      return keyboard(vm, vcpu);
    case INT_NO_BOOT:
      return print(vcpu, NO_BOOT);
    case INT_BOOTSTRAP:
      return requestReset(vm);
    case INT_CLOCK:
      return clock(vm, vcpu);
    default:
      return fail(vm, vcpu);
  }
}

// --- registers and the caller's flags -----------------------------------------------------------------------------------

function high(value: u64): u32 {
  return <u32>(value >> 8) & 0xff;
}

function withWord(register: u64, word: u64): u64 {
  return (register & ~WORD) | (word & WORD);
}

function setWord(vcpu: Vcpu, word: u64): void {
  vcpu.rax = withWord(vcpu.rax, word);
}

function loadWord(vm: Vm, at: u64): u64 {
  return guestLoad64(vm.memory, at, 0) & WORD;
}

/** Sets or clears `flag` in the flags that IRET will load. A stack that is not RAM keeps what it has. */
function setFlag(vm: Vm, vcpu: Vcpu, flag: u64, on: bool): void {
  const at = vcpu.segment(SEG_SS).base + ((vcpu.rsp + FLAGS_ON_STACK) & WORD);
  const flags = loadWord(vm, at);
  guestStore16(vm.memory, at, <u32>(on ? flags | flag : flags & ~flag));
}

function succeed(vm: Vm, vcpu: Vcpu): void {
  setFlag(vm, vcpu, RFLAGS_CF, false);
}

/** The service is not there. */
function fail(vm: Vm, vcpu: Vcpu): void {
  setWord(vcpu, (UNSUPPORTED << 8) | (vcpu.rax & 0xff));
  setFlag(vm, vcpu, RFLAGS_CF, true);
}

// --- interrupts ---------------------------------------------------------------------------------------------------------

function tick(vm: Vm): void {
  const m = vm.memory;
  let ticks = <u32>guestLoad64(m, BDA_TICKS, 0) + 1;
  if (ticks >= TICKS_PER_DAY) {
    ticks = 0;
    guestStore8(m, BDA_MIDNIGHT, 1);
  }
  guestStore32(m, BDA_TICKS, ticks);
}

/** Register C is read: until then the clock's line stays high, and no edge tells of its next interrupt. */
function silenceRtc(vcpu: Vcpu): void {
  portOut(vcpu, PORT_RTC, 1, RTC_FLAGS);
  portIn(vcpu, PORT_RTC + 1, 1);
}

function endInterrupt(vcpu: Vcpu, second: bool): void {
  if (second) portOut(vcpu, PORT_PIC_SLAVE, 1, END_OF_INTERRUPT);
  portOut(vcpu, PORT_PIC_MASTER, 1, END_OF_INTERRUPT);
}

// --- services -----------------------------------------------------------------------------------------------------------

/** INT 10h: teletype output goes to the serial console; the rest of a screen there is not. */
function video(vcpu: Vcpu): void {
  switch (high(vcpu.rax)) {
    case 0x03:
      vcpu.rcx = withWord(vcpu.rcx, CURSOR_SHAPE);
      vcpu.rdx = withWord(vcpu.rdx, 0);
      break;
    case 0x0e:
      portOut(vcpu, PORT_COM1, 1, <u32>vcpu.rax & 0xff);
      break;
    case 0x0f:
      setWord(vcpu, VIDEO_MODE);
      vcpu.rbx &= ~(<u64>0xff00);
      break;
    default:
      break;
  }
}

function print(vcpu: Vcpu, text: string): void {
  for (let i = 0; i < text.length; i++) portOut(vcpu, PORT_COM1, 1, text.charCodeAt(i));
}

/** INT 15h: how much memory there is, and the A20 gate, which is always open. */
function system(vm: Vm, vcpu: Vcpu): void {
  const extended = ramBelow4G(vm) - HIGH_MEMORY;
  const request = <u32>vcpu.rax & 0xffff;
  if (request == 0xe820) return memoryMap(vm, vcpu);
  if (request == 0xe801) {
    const blocks = (max(ramBelow4G(vm), MIB_16) - MIB_16) >> 16;
    const low = min(extended >> 10, KIB_16M);
    vcpu.rcx = withWord(vcpu.rcx, low);
    vcpu.rdx = withWord(vcpu.rdx, blocks);
    vcpu.rbx = withWord(vcpu.rbx, blocks);
    setWord(vcpu, low);
  } else if (high(request) == 0x88) {
    setWord(vcpu, min(extended >> 10, WORD));
  } else if (request == 0x2400 || request == 0x2401) {
    setWord(vcpu, request & 0xff);
  } else if (request == 0x2402) {
    setWord(vcpu, 1);
  } else if (request == 0x2403) {
    setWord(vcpu, 3);
    vcpu.rbx = withWord(vcpu.rbx, 3);
  } else {
    return fail(vm, vcpu);
  }
  succeed(vm, vcpu);
}

/** EBX: number of the entry, and back that of the next one or 0. ES:DI: where it goes. ECX: room, and back the entry's bytes. */
function memoryMap(vm: Vm, vcpu: Vcpu): void {
  const number = <u32>vcpu.rbx;
  const count = buildMemoryMap(vm);
  if (<u32>vcpu.rdx != SMAP || number >= count || <u32>vcpu.rcx < E820_ENTRY_BYTES) return fail(vm, vcpu);
  const at = vcpu.segment(SEG_ES).base + (vcpu.rdi & WORD);
  if (!guestWrite(vm.memory, at, changetype<usize>(memoryMapEntry(vm, number)), E820_ENTRY_BYTES)) {
    return fail(vm, vcpu);
  }
  vcpu.rax = SMAP;
  vcpu.rcx = E820_ENTRY_BYTES;
  vcpu.rbx = number + 1 < count ? number + 1 : 0;
  succeed(vm, vcpu);
}

/** INT 16h. A key that is waited for leaves CF set on the way out of the call: the stub tries again at the next interrupt. */
function keyboard(vm: Vm, vcpu: Vcpu): void {
  const request = high(vcpu.rax) & 0xf;
  const waits = request == 0;
  if (waits || request == 1) {
    const present = findKey(vm, vcpu);
    if (present) setWord(vcpu, loadWord(vm, BDA_KEY));
    if (present && waits) guestStore16(vm.memory, BDA_KEY_PRESENT, 0);
    if (!waits) setFlag(vm, vcpu, RFLAGS_ZF, !present);
    setLiveCarry(vcpu, waits && !present);
    return;
  }
  // No shift key is held.
  setLiveCarry(vcpu, false);
  if (request == 2) vcpu.rax &= ~(<u64>0xff);
  else fail(vm, vcpu);
}

function setLiveCarry(vcpu: Vcpu, on: bool): void {
  change(vcpu, GROUP_STACK_FLAGS);
  vcpu.rflags = on ? vcpu.rflags | RFLAGS_CF : vcpu.rflags & ~RFLAGS_CF;
}

/** Whether there is a key in the BIOS data area, taken from the serial port if there was none. */
function findKey(vm: Vm, vcpu: Vcpu): bool {
  if (loadWord(vm, BDA_KEY_PRESENT) != 0) return true;
  if ((portIn(vcpu, PORT_COM1_STATUS, 1) & RECEIVED) == 0) return false;
  const key = portIn(vcpu, PORT_COM1, 1) & 0xff;
  guestStore16(vm.memory, BDA_KEY, key);
  guestStore16(vm.memory, BDA_KEY_PRESENT, 1);
  return true;
}

/** INT 1Ah: ticks since the start, 18.2 a second. */
function clock(vm: Vm, vcpu: Vcpu): void {
  if (high(vcpu.rax) != 0) return fail(vm, vcpu);
  const ticks = guestLoad64(vm.memory, BDA_TICKS, 0);
  vcpu.rcx = withWord(vcpu.rcx, ticks >> 16);
  vcpu.rdx = withWord(vcpu.rdx, ticks);
  vcpu.rax = (vcpu.rax & ~(<u64>0xff)) | (loadWord(vm, BDA_MIDNIGHT) & 0xff);
  guestStore8(vm.memory, BDA_MIDNIGHT, 0);
  succeed(vm, vcpu);
}
