// What is typed at the console, on its way to the guest. Ctrl-] is the monitor's: `Ctrl-] m` opens it, Ctrl-] twice sends one
// to the guest, and before any other key both are the guest's. So everything can be typed, and a program that doubles each
// Ctrl-] sends anything.
import { rdtsc } from "../arch/intrinsics";
import { tscHz } from "../arch/clock";
import { consoleReceive } from "../drivers/console";
import { consoleGive } from "../guest/console";
import { platformWakeAt } from "../guest/lines";
import { vmNow, vmOf } from "../guest/vm";
import { logDivert, logRestore } from "../lib/log";
import { Vcpu } from "../vcpu/vcpu";
import { WATCH } from "./command";
import { topShow } from "./commands/top";
import { monitorExclude, monitorOpen } from "./monitor";
import { put } from "./terminal";

const NO_BYTE: i32 = -1;
const ESCAPE: i32 = 0x1d;
const OPEN_KEY: i32 = 0x6d;
/** Time between two pictures of `top`, ns. */
const WATCH_PERIOD: u64 = 1_000_000_000;

// A byte that waits for the guest, alone or with:

/** It is not the monitor's, whatever it is. */
const LITERAL: i32 = 0x100;
/** An escape comes before it. */
const AFTER_ESCAPE: i32 = 0x200;
/** No byte: `top` is on the console. */
const WATCHING: i32 = 0x400;

let held: i32 = NO_BYTE;
/** The escape byte; another value where there is none. */
let escapeKey: i32 = NO_BYTE;
/** Host TSC at which `top` is due. */
let due: u64 = 0;

/** Lets Ctrl-] open the monitor. */
export function monitorEnable(): void {
  escapeKey = ESCAPE;
}

/** Gives the guest what is typed, as long as it takes it. False: the console is not the guest's just now. */
export function moveInput(vcpu: Vcpu): bool {
  while (true) {
    if (held == NO_BYTE) held = consoleReceive();
    if (held == NO_BYTE) return true;
    if (!moveByte(vcpu)) return held != WATCHING;
  }
}

/** Does with the held byte what is to be done. False: it has to wait. */
function moveByte(vcpu: Vcpu): bool {
  if (held == WATCHING) return watch(vcpu);
  if (held == escapeKey && !decide(vcpu)) return false;
  if (held < 0 || held == WATCHING) return true;
  const vm = vmOf(vcpu);
  if ((held & AFTER_ESCAPE) != 0) {
    if (!consoleGive(vm, ESCAPE)) return false;
    held = LITERAL | (held & 0xff);
  }
  if (!consoleGive(vm, <u32>held & 0xff)) return false;
  held = NO_BYTE;
  return true;
}

/** The byte after an escape says what is meant. False: it has not come yet. */
function decide(vcpu: Vcpu): bool {
  const byte = consoleReceive();
  if (byte == NO_BYTE) return false;
  if (byte == OPEN_KEY) open(vcpu);
  else held = byte | (byte == escapeKey ? LITERAL : AFTER_ESCAPE);
  return true;
}

function open(vcpu: Vcpu): void {
  held = monitorOpen(vcpu) == WATCH ? WATCHING : NO_BYTE;
  due = rdtsc() + tscHz();
}

/** `top`: a new picture when it is time; a key ends it. False: nothing for the guest. */
function watch(vcpu: Vcpu): bool {
  if (consoleReceive() != NO_BYTE) {
    open(vcpu);
    return held != WATCHING;
  }
  const now = rdtsc();
  if (now >= due) {
    due = now + tscHz();
    logDivert(put);
    topShow(vcpu);
    logRestore();
    monitorExclude(vcpu, rdtsc() - now);
  }
  platformWakeAt(vmOf(vcpu), vmNow(vmOf(vcpu)) + WATCH_PERIOD);
  return false;
}
