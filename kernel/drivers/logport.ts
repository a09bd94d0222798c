// Where the log goes: the serial port that option `log` names, at the level that option `loglevel` names.
import { phys_store16 } from "../arch/intrinsics";
import { LAYOUT_REPORT_PORTS } from "../abi/layout";
import { bootLayout } from "../lib/layout";
import { LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, logSetLevel, logSetSink } from "../lib/log";
import { optionIs, optionValue } from "../lib/options";
import { COM1, COM2, serialPut, serialStart } from "./serial";

let port: u32 = COM1;

/** Starts both ports and the log. False: an option has a value that does not exist; its default is used. */
export function logPortStart(): bool {
  const known = chooseLevel();
  const hasCom1 = serialStart(COM1);
  const hasCom2 = serialStart(COM2);
  if (optionIs("log", "com2") && hasCom2) port = COM2;
  if (port == COM2 || hasCom1) logSetSink(put);
  phys_store16(bootLayout(LAYOUT_REPORT_PORTS), port);
  return known && (optionValue("log") == 0 || optionIs("log", "com1") || optionIs("log", "com2"));
}

function put(byte: u32): void {
  serialPut(port, byte);
}

function chooseLevel(): bool {
  if (optionIs("loglevel", "error")) logSetLevel(LOG_ERROR);
  else if (optionIs("loglevel", "warn")) logSetLevel(LOG_WARN);
  else if (optionIs("loglevel", "debug")) logSetLevel(LOG_DEBUG);
  else {
    logSetLevel(LOG_INFO);
    return optionValue("loglevel") == 0 || optionIs("loglevel", "info");
  }
  return true;
}
