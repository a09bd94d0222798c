// `regs`: the vCPU's registers.
import { logEnd, logHex, logHexFixed, logText, logWord } from "../../lib/log";
import { need } from "../../vcpu/backend";
import {
  GPR_NAMES,
  GROUP_CONTROL,
  GROUP_SEGMENTS,
  GROUP_STACK_FLAGS,
  GROUP_SYSTEM,
  GROUP_TABLES,
  SEG_LDTR,
} from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { logBits } from "../bits";
import { STAY } from "../command";

const SEGMENTS: u32 = 8;
const SEGMENT_NAMES: string = "es cs ss ds fs gs ldtr tr";
const FLAGS: string = "CF - PF - AF - ZF SF TF IF DF OF - - NT - RF VM AC VIF VIP ID";
const CR0_BITS: string = "PE MP EM TS ET NE - - - - - - - - - - WP - AM - - - - - - - - - - NW CD PG";
const CR4_BITS: string =
  "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 VMXE SMXE - FSGSBASE PCIDE OSXSAVE KL SMEP SMAP PKE CET PKS";
const EFER_BITS: string = "SCE - - - - - - - LME - LMA NXE SVME LMSLE FFXSR TCE";

export function regs(vcpu: Vcpu, _args: usize): u32 {
  need(vcpu, GROUP_STACK_FLAGS | GROUP_SEGMENTS | GROUP_TABLES | GROUP_CONTROL | GROUP_SYSTEM);
  logWithBits("rip    ", vcpu.rip, "");
  logWithBits("rflags ", vcpu.rflags, FLAGS);
  for (let i: u32 = 0; i < 16; i++) {
    logWord(GPR_NAMES, i);
    logText(i == 8 || i == 9 ? "  " : " ");
    logHexFixed(vcpu.gpr(i), 16);
    if ((i & 3) == 3) logEnd();
    else logText("  ");
  }
  for (let i: u32 = 0; i < SEGMENTS; i++) logSegment(vcpu, i);
  logTable("gdtr", vcpu.gdtrBase, vcpu.gdtrLimit);
  logTable("idtr", vcpu.idtrBase, vcpu.idtrLimit);
  logWithBits("cr0    ", vcpu.cr0, CR0_BITS);
  logWithBits("cr2    ", vcpu.cr2, "");
  logWithBits("cr3    ", vcpu.cr3, "");
  logWithBits("cr4    ", vcpu.cr4, CR4_BITS);
  logWithBits("efer   ", vcpu.efer, EFER_BITS);
  return STAY;
}

function logWithBits(name: string, value: u64, bits: string): void {
  logText(name);
  logHex(value);
  logBits(value, bits);
  logEnd();
}

function logSegment(vcpu: Vcpu, index: u32): void {
  const segment = vcpu.segment(index);
  logWord(SEGMENT_NAMES, index);
  logText(index == SEG_LDTR ? " selector " : "   selector ");
  logHexFixed(segment.selector, 4);
  logText(" base ");
  logHexFixed(segment.base, 16);
  logText(" limit ");
  logHexFixed(segment.limit, 8);
  logText(" access ");
  logHexFixed(segment.access, 5);
  logEnd();
}

function logTable(name: string, base: u64, limit: u32): void {
  logText(name);
  logText(" base ");
  logHexFixed(base, 16);
  logText(" limit ");
  logHexFixed(limit, 8);
  logEnd();
}
