// IN, OUT, INS and OUTS. The processor has checked IOPL and the I/O permission bitmap before the exit.
import { ACCESS_PORT, breakpointsMet } from "../vcpu/debug";
import { IO_DECODED, IO_IN, IO_REP, IO_STRING } from "../vcpu/exit";
import { portIn, portOut } from "../vcpu/machine";
import { OUTCOME_ADVANCE, OUTCOME_DONE, OUTCOME_RESUME } from "../vcpu/outcome";
import { Vcpu } from "../vcpu/vcpu";
import { finish } from "./advance";
import { Emulator, scratchInstruction, startEmulator, watchAccesses } from "./emulate/emulator";
import { fetchInstruction } from "./emulate/fetch";
import { OP_INS, OP_OUTS, PREFIX_REP } from "./emulate/instruction";
import { runString } from "./emulate/string";

export function handleIo(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  const flags = exit.flags;
  if ((flags & IO_STRING) != 0) return handleStringIo(vcpu);
  if ((flags & IO_IN) == 0) portOut(vcpu, exit.port, exit.size, lowBytes(<u32>vcpu.rax, exit.size));
  else setLowBytes(vcpu, portIn(vcpu, exit.port, exit.size), exit.size);
  return finish(vcpu) == OUTCOME_DONE ? OUTCOME_DONE : meetBreakpoints(vcpu);
}

/** Notes the breakpoints that the port meets; they are reported when the instruction completes. */
function meetBreakpoints(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  if (exit.breakpoints != 0) exit.meet(breakpointsMet(vcpu, exit.port, exit.size, ACCESS_PORT));
  return OUTCOME_ADVANCE;
}

function lowBytes(value: u32, size: u32): u32 {
  if (size == 1) return value & 0xff;
  return size == 2 ? value & 0xffff : value;
}

/** Writes AL, AX or EAX. Like any write of a register: 32 bits clear the upper half, fewer leave the rest. */
function setLowBytes(vcpu: Vcpu, value: u32, size: u32): void {
  const rax = changetype<usize>(vcpu) + offsetof<Vcpu>("rax");
  if (size == 1) store<u8>(rax, <u8>value);
  else if (size == 2) store<u16>(rax, <u16>value);
  else vcpu.rax = value;
}

function handleStringIo(vcpu: Vcpu): u32 {
  const exit = vcpu.exit;
  const e = startEmulator(vcpu);
  if ((exit.flags & IO_DECODED) != 0) describe(e);
  else if (!fetchInstruction(e)) return e.outcome;
  else if (exit.nextRip == 0) exit.nextRip = e.nextRip;
  e.nextRip = exit.nextRip;
  watchAccesses(e);
  const operation = e.instruction.operation;
  // Another CPU of the guest may have changed the bytes since: what is there now is run, if it is string I/O at all.
  if (operation != OP_INS && operation != OP_OUTS) return OUTCOME_RESUME;
  return runString(e);
}

/** What the processor reported, in the form of a decoded instruction. */
function describe(e: Emulator): void {
  const exit = e.vcpu.exit;
  const i = scratchInstruction(e);
  e.instruction = i;
  i.operation = (exit.flags & IO_IN) != 0 ? OP_INS : OP_OUTS;
  i.operandSize = exit.size;
  i.addressSize = exit.addressSize;
  i.segment = exit.segment;
  i.prefixes = (exit.flags & IO_REP) != 0 ? PREFIX_REP : 0;
  i.length = 0;
}
