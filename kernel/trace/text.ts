// Exits on the log in human form, one a line, made for `grep`: first the fields that every exit has, then those of its class.
//
//   typevisor: exit vm=0 vcpu=0 reason=io class=io rip=0xfff3 ticks=2210 outcome=advance io=out port=0x70 size=1 value=0x8f
import {
  ACCESS_FETCH,
  ACCESS_PAGE_WALK,
  ACCESS_PRESENT,
  ACCESS_READ,
  ACCESS_WRITE,
  CR_READ,
  CR_UNDECODED,
  EXIT_CPUID,
  EXIT_CR,
  EXIT_DR,
  EXIT_EXCEPTION,
  EXIT_EXTERNAL_INTERRUPT,
  EXIT_HYPERCALL,
  EXIT_IO,
  EXIT_NAMES,
  EXIT_NESTED_FAULT,
  EXIT_RDMSR,
  EXIT_WRMSR,
  EXIT_XSETBV,
  IO_IN,
  IO_REP,
  IO_STRING,
  NO_VECTOR,
  OUTCOME_NAMES,
} from "../abi/exits";
import {
  RECORD_DETAIL,
  RECORD_GPA,
  RECORD_KIND,
  RECORD_OUTCOME,
  RECORD_RAX,
  RECORD_RCX,
  RECORD_RDX,
  RECORD_REASON,
  RECORD_RIP,
  RECORD_TSC_IN,
  RECORD_TSC_OUT,
  RECORD_VCPU,
  RECORD_VM,
} from "../abi/trace";
import { logByte, logDecimal, logEnd, logHex, logText, logWord } from "../lib/log";
import { backend } from "../vcpu/backend";
import { GPR_NAMES } from "../vcpu/registers";
import { nameLetter } from "./options";

/** By CR_* (kernel/abi/exits.ts). */
const ACCESS_NAMES: string = "write read clts lmsw";

/** Logs the exit record at linear address `record` (kernel/abi/trace.ts), whatever the log's level. */
export function logExit(record: usize): void {
  logText("typevisor: exit vm=");
  logDecimal(load<u8>(record + RECORD_VM));
  number(" vcpu=", load<u8>(record + RECORD_VCPU));
  logText(" reason=");
  logReason(load<u32>(record + RECORD_REASON));
  logText(" class=");
  logWord(EXIT_NAMES, load<u8>(record + RECORD_KIND));
  field(" rip=", load<u64>(record + RECORD_RIP));
  number(" ticks=", load<u64>(record + RECORD_TSC_OUT) - load<u64>(record + RECORD_TSC_IN));
  logText(" outcome=");
  logWord(OUTCOME_NAMES, load<u8>(record + RECORD_OUTCOME));
  details(record);
  logEnd();
}

/** An exit reason's name as one word: blanks become `_`. What has no name is printed as a number. */
function logReason(reason: u32): void {
  const name = backend().reasonName(reason);
  if (name == "unknown") logHex(reason);
  else for (let i = 0; i < name.length; i++) logByte(nameLetter(name, i));
}

function details(record: usize): void {
  const detail = load<u64>(record + RECORD_DETAIL);
  const rax = load<u64>(record + RECORD_RAX);
  const value = (load<u64>(record + RECORD_RDX) << 32) | <u32>rax;
  switch (<u32>load<u8>(record + RECORD_KIND)) {
    case EXIT_CPUID:
      field(" leaf=", <u32>rax);
      field(" subleaf=", <u32>load<u64>(record + RECORD_RCX));
      break;
    case EXIT_WRMSR:
      field(" msr=", detail);
      field(" value=", value);
      break;
    case EXIT_RDMSR:
      field(" msr=", detail);
      break;
    case EXIT_IO:
      port(detail, rax);
      break;
    case EXIT_CR:
      register(" cr=", detail);
      break;
    case EXIT_DR:
      register(" dr=", detail);
      break;
    case EXIT_NESTED_FAULT:
      field(" gpa=", load<u64>(record + RECORD_GPA));
      access(<u32>(detail >> 24));
      break;
    case EXIT_HYPERCALL:
      field(" number=", rax);
      break;
    case EXIT_EXCEPTION:
      number(" vector=", <u32>detail);
      field(" error=", detail >> 32);
      break;
    case EXIT_EXTERNAL_INTERRUPT:
      if (<u32>detail != NO_VECTOR) number(" vector=", <u32>detail);
      break;
    case EXIT_XSETBV:
      number(" xcr=", <u32>load<u64>(record + RECORD_RCX));
      field(" value=", value);
      break;
  }
}

function field(key: string, value: u64): void {
  logText(key);
  logHex(value);
}

function number(key: string, value: u64): void {
  logText(key);
  logDecimal(value);
}

function port(detail: u64, rax: u64): void {
  const size = <u32>(detail >> 16) & 0xff;
  const flags = <u32>(detail >> 24);
  logText((flags & IO_IN) != 0 ? " io=in" : " io=out");
  field(" port=", detail & 0xffff);
  number(" size=", size);
  if ((flags & IO_STRING) != 0) logText((flags & IO_REP) != 0 ? " string=rep" : " string=once");
  else if ((flags & IO_IN) == 0) field(" value=", rax & (((<u64>1) << (8 * size)) - 1));
}

/** Without decode assists AMD-V says only that the register was accessed. */
function register(key: string, detail: u64): void {
  const how = <u32>(detail >> 8) & 0xff;
  number(key, detail & 0xff);
  if (how == CR_UNDECODED) return;
  logText(" access=");
  logWord(ACCESS_NAMES, how);
  if (how > CR_READ) return;
  logText(" gpr=");
  logWord(GPR_NAMES, <u32>(detail >> 16) & 15);
}

function access(flags: u32): void {
  logText(" access=");
  if ((flags & ACCESS_READ) != 0) logText("R");
  if ((flags & ACCESS_WRITE) != 0) logText("W");
  if ((flags & ACCESS_FETCH) != 0) logText("X");
  if ((flags & ACCESS_PRESENT) != 0) logText(" present=1");
  if ((flags & ACCESS_PAGE_WALK) != 0) logText(" walk=1");
}
