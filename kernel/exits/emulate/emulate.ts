// One instruction of the guest executed in software: the one at RIP, which touched memory that is not RAM.
//
// The checks of the processor, from left to right: the first that fails is the exception (SDM, "Priority Among Concurrent
// Events", and the exceptions of each instruction). tests/unit/emulate-checks.test.ts has the same table.
//
//   class                  the instruction itself      privilege     address          aligned  #AC  page  afterwards
//   -----                  ----------------------      ---------     -------          -------  ---  ----  ----------
//   all                    LOCK, encoding #UD                        limit, type,              yes  #PF
//                                                                    canonical:
//                                                                    #SS, #GP
//   division                                                                                              #DE
//   BOUND                                                                                                 #BR
//   CALL, JMP, RET                                                                                        target #GP
//   far CALL, JMP, RET                                                                                    selector #GP, #NP
//   loads of segments                                                                                     selector #GP, #NP, #SS
//   PUSHF, POPF                                        V86 IOPL #GP
//   INS, OUTS                                          port #GP
//   MMX                    EM #UD, TS #NM                                                                 #MF
//   SSE                    EM, OSFXSR #UD, TS #NM                                     #GP
//   VEX                    OSXSAVE, XCR0 #UD, TS #NM                                  #GP
//   CMPXCHG16B                                                                        #GP
//   SGDT, SIDT, SMSW       (SLDT, STR: real mode #UD)  UMIP #GP
//   LGDT, LIDT, LMSW                                   CPL #GP                                            value #GP
//   LLDT, LTR              real mode #UD               CPL #GP                                            selector #GP, #NP
//   VERR, VERW, LAR, LSL   real mode #UD
//
// "#PF" is all of kernel/mm/guestwalk.ts: present, write, user, reserved bits, SMAP, protection keys. #AC is for CPL 3 alone.
import { WALK_READ, WALK_WRITE } from "../../mm/guestwalk";
import { backend } from "../../vcpu/backend";
import { MOVE_IMMEDIATE, MOVE_KNOWN, MOVE_REGISTER_SHIFT, MOVE_WRITE } from "../../vcpu/exit";
import { machine } from "../../vcpu/machine";
import { OUTCOME_ADVANCE, OUTCOME_RESUME } from "../../vcpu/outcome";
import { RSP } from "../../vcpu/registers";
import { Vcpu } from "../../vcpu/vcpu";
import { Emulator, startEmulator, watchAccesses } from "./emulator";
import { fetchInstruction } from "./fetch";
import { FORM_ACC_MOFFS, FORM_R_RM, FORM_RM_IMM, OP_MOV } from "./instruction";
import { isFaultAddress } from "./linear";
import { runInstruction, touchesMemory } from "./run";

/**
 * Emulates the instruction at RIP. `gpa`: the guest-physical address that its access faulted at, `write`: whether that
 * was a write. Returns the outcome of the exit; with OUTCOME_ADVANCE, `exit.nextRip` is where to go on.
 */
export function emulateAccess(vcpu: Vcpu, gpa: u64, write: bool): u32 {
  const e = startEmulator(vcpu);
  if (!fetchInstruction(e)) return e.outcome;
  if (isDefined(CHECKED)) assert(e.instruction.mode == e.mode, "emulation: decoded for another mode");
  const i = e.instruction;
  watchAccesses(e);
  if (e.breakpoints == 0) {
    // Breakpoints are on linear addresses, which those of the fault do not tell.
    e.faultGpa = gpa;
    e.faultWrite = write;
  }
  if (i.operation == OP_MOV && i.memory && moveAtFault(e)) {
    vcpu.exit.nextRip = e.nextRip;
    rememberMove(e);
    return OUTCOME_ADVANCE;
  }
  // Registers only: another CPU of the guest has changed the bytes since the fault. Run what is there now.
  if (!touchesMemory(e)) return OUTCOME_RESUME;
  return runInstruction(e);
}

/**
 * MOV of four bytes between a register and a device's register, which is what drivers consist of, on the shortest way.
 * False: it is another MOV, or its address must be computed.
 */
function moveAtFault(e: Emulator): bool {
  const i = e.instruction;
  if (isDefined(CHECKED)) assert(i.operation == OP_MOV && i.memory, "emulation: no MOV of memory");
  const vcpu = e.vcpu;
  if (i.operandSize != 4) return false;
  if (isDefined(CHECKED)) assert(i.register < 16, "emulation: no such register");
  if (i.form == FORM_R_RM || i.form == FORM_ACC_MOFFS) {
    if (!isFaultAddress(e, 4, WALK_READ)) return false;
    vcpu.setGpr(i.register, machine().mmioRead(vcpu, e.faultGpa, 4) & 0xffffffff);
    return true;
  }
  if (!isFaultAddress(e, 4, WALK_WRITE)) return false;
  const value = i.form == FORM_RM_IMM ? i.immediate : vcpu.gpr(i.register);
  machine().mmioWrite(vcpu, e.faultGpa, 4, value & 0xffffffff);
  return true;
}

/** Tells the backend what `moveAtFault` has done, for the next time. RSP, which is not kept where the others are, is left out. */
function rememberMove(e: Emulator): void {
  assert(e.instruction.length != 0 && e.instruction.length <= 15, "emulation: length of an instruction");
  const i = e.instruction;
  assert(i.operation == OP_MOV && i.operandSize == 4 && i.register < 16, "emulation: a MOV of four bytes");
  const immediate = i.form == FORM_RM_IMM;
  const write = immediate || (i.form != FORM_R_RM && i.form != FORM_ACC_MOFFS);
  if (!immediate && i.register == RSP) return;
  let move = MOVE_KNOWN | (immediate ? MOVE_IMMEDIATE : i.register << MOVE_REGISTER_SHIFT);
  if (write) move |= MOVE_WRITE;
  backend().rememberMove(e.vcpu, move, <u32>i.immediate, i.length);
}
