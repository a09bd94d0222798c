import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "../harness.ts";

const GLUE = `
import { commandLine } from "./kernel/lib/bootinfo";
import { optionIs, optionNumber, optionValue } from "./kernel/lib/options";
export function line(): usize { return commandLine(); }
export function exitValue(): usize { return optionValue("exit"); }
export function logIsCom2(): bool { return optionIs("log", "com2"); }
export function memoryOption(): u64 { return optionNumber("vm0.memory", 7); }
`;

let kernel: KernelModule;

beforeEach(async () => {
  kernel = await loadKernel(["kernel/lib/options.ts"], GLUE);
});

function setLine(text: string): void {
  const at = kernel.exports.line!() as number;
  [...Buffer.from(`${text}\0`, "latin1")].forEach((byte, i) => void kernel.memory.setUint8(at + i, byte));
}

function textAt(address: number): string {
  let text = "";
  for (let at = address; kernel.memory.getUint8(at) > 0x20; at++)
    text += String.fromCharCode(kernel.memory.getUint8(at));
  return text;
}

describe("options on the command line", () => {
  test.each([
    ["exit=isa:0xf4", "isa:0xf4"],
    ["kernel.elf log=com1   exit=none\t", "none"],
    ["exit=none exit=acpi", "acpi"],
    ["exit=", ""],
  ])("%j has exit %j", (line, value) => {
    setLine(line);
    expect(textAt(kernel.exports.exitValue!() as number)).toBe(value);
  });

  test.each(["", "   ", "exit", "xexit=1", "exit.=1", "exi=t", "log=exit=none"])("%j has no exit", (line) => {
    setLine(line);
    expect(kernel.exports.exitValue!()).toBe(0);
  });

  test.each([
    ["log=com2", 1],
    ["log=com22", 0],
    ["log=com", 0],
    ["log=com1 xlog=com2", 0],
  ])("%j: log is com2: %i", (line, expected) => {
    setLine(line);
    expect(kernel.exports.logIsCom2!()).toBe(expected);
  });

  const MALFORMED = 0xffff_ffff_ffff_ffffn;
  test.each([
    ["", 7n],
    ["vm0.memory=0", 0n],
    ["vm0.memory=256M", 256n << 20n],
    ["vm0.memory=0x10k", 16n << 10n],
    ["vm0.memory=3G x=1", 3n << 30n],
    ["vm0.memory=9223372036854775000", 9223372036854775000n],
    ["vm0.memory=", MALFORMED],
    ["vm0.memory=0x", MALFORMED],
    ["vm0.memory=12Q", MALFORMED],
    ["vm0.memory=12MM", MALFORMED],
    ["vm0.memory=-1", MALFORMED],
    ["vm0.memory=99999999999999999999999", MALFORMED],
    ["vm0.memory=0xffffffffffffffffff", MALFORMED],
    ["vm0.memory=9223372036854775807G", MALFORMED],
  ])("%j is the number %i", (line, expected) => {
    setLine(line);
    expect(BigInt.asUintN(64, kernel.exports.memoryOption!() as bigint)).toBe(expected);
  });
});
