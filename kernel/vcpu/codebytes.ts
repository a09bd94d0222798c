// The bytes of the instruction that exited, for those who only look on: read through the guest's page tables with bounded
// work. What cannot be read is left out; the guest notices nothing.
import { phys_load8 } from "../arch/intrinsics";
import { arenaNewWithTail } from "../lib/arena";
import { CodeBytesLink } from "../lib/links";
import { tailOf } from "../lib/tail";
import { NO_HPA } from "../mm/frames";
import { guestTranslate } from "../mm/guestmem";
import { GUEST_WALK_BYTES, GuestWalk, WALK_OK, walkGuest } from "../mm/guestwalk";
import { backend } from "./backend";
import {
  EXIT_DEADLINE,
  EXIT_ENTRY_FAILURE,
  EXIT_EXTERNAL_INTERRUPT,
  EXIT_INIT,
  EXIT_INTERRUPT_WINDOW,
  EXIT_MACHINE_CHECK,
  EXIT_MTF,
  EXIT_NESTED_FAULT,
  EXIT_NMI,
  EXIT_NMI_WINDOW,
  EXIT_SIPI,
  EXIT_TRIPLE_FAULT,
  EXIT_UNKNOWN,
  ExitRecord,
} from "./exit";
import { Vcpu } from "./vcpu";

/** Classes of exits that no instruction caused, as bits. */
const NO_INSTRUCTION: u64 =
  ((<u64>1) << EXIT_UNKNOWN) |
  ((<u64>1) << EXIT_EXTERNAL_INTERRUPT) |
  ((<u64>1) << EXIT_NMI) |
  ((<u64>1) << EXIT_INTERRUPT_WINDOW) |
  ((<u64>1) << EXIT_NMI_WINDOW) |
  ((<u64>1) << EXIT_DEADLINE) |
  ((<u64>1) << EXIT_TRIPLE_FAULT) |
  ((<u64>1) << EXIT_INIT) |
  ((<u64>1) << EXIT_SIPI) |
  ((<u64>1) << EXIT_MTF) |
  ((<u64>1) << EXIT_ENTRY_FAILURE) |
  ((<u64>1) << EXIT_MACHINE_CHECK);

const MAX_BYTES: u64 = 15;
const PAGE_BYTES: u64 = 4096;

/** Of one vCPU. Ends in the walk by which they were found. */
@unmanaged
class CodeBytes extends CodeBytesLink {
  /** Bytes 0 to 7 and 8 to 14; zeros behind the last. */
  bytes0: u64;
  bytes1: u64;
  count: u64;

  get walk(): GuestWalk {
    return changetype<GuestWalk>(tailOf(this));
  }
}

/** Gives a vCPU the room for its instructions' bytes; boot time only. */
export function codeBytesCreate(vcpu: Vcpu): void {
  if (isDefined(CHECKED)) assert(changetype<usize>(vcpu.codeBytes) == 0, "codebytes: created twice");
  vcpu.codeBytes = arenaNewWithTail<CodeBytes>(GUEST_WALK_BYTES);
}

/**
 * The instruction of the last exit, before it is handled. Where its length is not known, what follows it in its page comes with
 * it. Valid until the next call for this vCPU.
 */
export function readInstruction(vcpu: Vcpu): CodeBytes {
  const code = changetype<CodeBytes>(vcpu.codeBytes);
  code.bytes0 = 0;
  code.bytes1 = 0;
  code.count = 0;
  const exit = vcpu.exit;
  if (isDefined(CHECKED)) assert(exit.kind < 64, "codebytes: exit class");
  if (((NO_INSTRUCTION >> exit.kind) & 1) != 0 || exit.interruptedEvent != 0) return code;
  const linear = backend().codeWalk(vcpu, code.walk);
  const length = exit.plainLength != 0 ? <u64>exit.plainLength : exit.nextRip - exit.rip;
  const rest = bytesInPage(linear);
  if (!instructionEnds(exit) || length > MAX_BYTES) readPage(code, linear, min(rest, MAX_BYTES));
  else if (readPage(code, linear, min(rest, length)) && length > rest)
    readPage(code, linear + rest, length - rest);
  return code;
}

/** Whether the exit record says where its instruction ends. After a nested page fault only that of a known MOV does. */
export function instructionEnds(exit: ExitRecord): bool {
  if (isDefined(CHECKED)) assert(exit.plainLength <= MAX_BYTES, "codebytes: longer than an instruction");
  return exit.plainLength != 0 || (exit.nextRip != 0 && exit.kind != EXIT_NESTED_FAULT);
}

function bytesInPage(linear: u64): u64 {
  if (isDefined(CHECKED))
    assert(PAGE_BYTES > MAX_BYTES, "codebytes: an instruction lies in two pages at most");
  return PAGE_BYTES - (linear & (PAGE_BYTES - 1));
}

/** Appends `bytes` bytes of one page. False: they cannot be fetched, or are not in RAM. */
function readPage(code: CodeBytes, linear: u64, bytes: u64): bool {
  if (isDefined(CHECKED)) assert(bytes <= bytesInPage(linear), "codebytes: piece of a page");
  if (isDefined(CHECKED)) assert(code.count + bytes <= MAX_BYTES, "codebytes: longer than an instruction");
  const walk = code.walk;
  if (walkGuest(walk, linear) != WALK_OK) return false;
  const hpa = guestTranslate(walk.memory, walk.gpa, bytes);
  if (hpa == NO_HPA) return false;
  for (let i: u64 = 0; i < bytes; i++, code.count++) {
    store<u8>(changetype<usize>(code) + <usize>code.count, <u8>phys_load8(hpa + i));
  }
  return true;
}
