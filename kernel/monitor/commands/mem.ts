// `mem [gpa:]ADDRESS [BYTES]`: the guest's memory in hexadecimal and ASCII. It is only read.
import { phys_load8 } from "../../arch/intrinsics";
import { vmOf } from "../../guest/vm";
import { logByte, logEnd, logHexFixed, logText } from "../../lib/log";
import { MONITOR_MAX_BYTES } from "../../lib/limits";
import { NOT_A_NUMBER, parseNumber } from "../../lib/options";
import { NO_HPA } from "../../mm/frames";
import { guestTranslate } from "../../mm/guestmem";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";
import { walkLinear } from "../pagewalk";
import { complain, isEnd, nextWord, parseAddress } from "../words";

const PHYSICAL: string = "gpa:";
const DEFAULT_BYTES: u64 = 64;
const LINE: u64 = 16;
const NO_BYTE: i32 = -1;

export function mem(vcpu: Vcpu, args: usize): u32 {
  const physical = isPhysical(args);
  const address = parseAddress(vcpu, physical ? args + PHYSICAL.length : args);
  if (address == NOT_A_NUMBER)
    return complain("expected an address, such as 0x100000, rip or gpa:0x100000", args);
  const second = nextWord(args);
  const bytes = isEnd(second) ? DEFAULT_BYTES : parseNumber(second);
  if (bytes > MONITOR_MAX_BYTES) return complain("expected a number of bytes, at most 4096", second);
  if (byteAt(vcpu, address, physical) == NO_BYTE) return complain("there is no guest RAM", args);
  for (let at: u64 = 0; at < bytes; at += LINE) logLine(vcpu, address + at, min(bytes - at, LINE), physical);
  return STAY;
}

function isPhysical(word: usize): bool {
  for (let i = 0; i < PHYSICAL.length; i++) if (load<u8>(word + i) != PHYSICAL.charCodeAt(i)) return false;
  return true;
}

/** The byte at a linear or physical address of the guest; NO_BYTE: not mapped, or not RAM. */
function byteAt(vcpu: Vcpu, address: u64, physical: bool): i32 {
  const gpa = physical ? address : walkLinear(vcpu, address, false);
  const hpa = guestTranslate(vmOf(vcpu).memory, gpa, 1);
  return hpa == NO_HPA ? NO_BYTE : <i32>phys_load8(hpa);
}

function logLine(vcpu: Vcpu, address: u64, bytes: u64, physical: bool): void {
  logHexFixed(address, 16);
  logText(" ");
  for (let i: u64 = 0; i < LINE; i++) {
    const byte = i < bytes ? byteAt(vcpu, address + i, physical) : NO_BYTE;
    logText(" ");
    if (byte != NO_BYTE) logHexFixed(<u64>byte, 2);
    else logText(i < bytes ? "??" : "  ");
  }
  logText("  ");
  for (let i: u64 = 0; i < bytes; i++) logCharacter(byteAt(vcpu, address + i, physical));
  logEnd();
}

function logCharacter(byte: i32): void {
  logByte(byte >= 0x20 && byte < 0x7f ? byte : DOT);
}

const DOT: u32 = 0x2e;
