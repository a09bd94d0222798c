// The end: how this machine is switched off, by option `exit` of the command line.
//
//   exit=isa:PORT  QEMU's isa-debug-exit: the status is written to PORT      exit=acpi  soft off
//   exit=bochs     Bochs's shutdown port                                     exit=none  halt (default)
import { halt_forever, out32, out8, phys_store16 } from "../arch/intrinsics";
import { LAYOUT_REPORT_PORTS } from "../abi/layout";
import { bootLayout } from "../lib/layout";
import { LOG_INFO, logDecimal, logEnd, logSetLevel, logStart, logText } from "../lib/log";
import { NOT_A_NUMBER, optionIs, optionValue, parseNumber } from "../lib/options";
import { consoleDrain } from "./console";
import { acpiPowerOff } from "./fadt";
import { COM1, COM2, serialFlush } from "./serial";

const BOCHS_PORT: u32 = 0x8900;
const ISA_PREFIX_BYTES: usize = 4;

const EXIT_NONE: u32 = 0;
const EXIT_ISA: u32 = 1;
const EXIT_BOCHS: u32 = 2;
const EXIT_ACPI: u32 = 3;

let mode: u32 = EXIT_NONE;
let isaPort: u32 = 0;

/** Reads the option. False: its value is not one of those above. */
export function powerStart(): bool {
  const value = optionValue("exit");
  if (value == 0 || optionIs("exit", "none")) return true;
  if (optionIs("exit", "acpi")) mode = EXIT_ACPI;
  else if (!optionIs("exit", "bochs")) return powerUseIsa(value);
  else {
    mode = EXIT_BOCHS;
    setReportExit(BOCHS_PORT);
  }
  return true;
}

function powerUseIsa(value: usize): bool {
  // "isa:", little-endian.
  if (load<u32>(value) != 0x3a617369) return false;
  const port = parseNumber(value + ISA_PREFIX_BYTES);
  if (port == NOT_A_NUMBER || port == 0 || port > 0xffff) return false;
  isaPort = <u32>port;
  mode = EXIT_ISA;
  setReportExit(isaPort);
  return true;
}

/** For the report that runs without TypeScript (boot/nested.asm). */
function setReportExit(port: u32): void {
  phys_store16(bootLayout(LAYOUT_REPORT_PORTS) + 2, port);
}

/** Prints the last line, waits until it is out, and switches the machine off with this status. Does not return. */
export function machineStop(status: u32): void {
  consoleDrain();
  logSetLevel(LOG_INFO);
  logStart(LOG_INFO);
  logText("halt (status ");
  logDecimal(status);
  logText(")");
  logEnd();
  serialFlush(COM1);
  serialFlush(COM2);
  switchOff(status);
  halt_forever();
}

function switchOff(status: u32): void {
  switch (mode) {
    case EXIT_ISA:
      out32(isaPort, status);
      break;
    case EXIT_BOCHS:
      sayShutdown("Shutdown");
      break;
    case EXIT_ACPI:
      acpiPowerOff();
      break;
    default:
      break;
  }
}

function sayShutdown(word: string): void {
  for (let i = 0; i < word.length; i++) out8(BOCHS_PORT, word.charCodeAt(i));
}
