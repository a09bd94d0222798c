// Completion with Tab: the first word is a command, as is what follows `help`; other words are names of exit reasons.
import { logByte, logEnd, logText } from "../lib/log";
import { wordIs } from "../lib/options";
import { COUNTED_REASONS, reasonOfIndex } from "../trace/counters";
import { foldedLetter, isNamed, nameLetter } from "../trace/options";
import { backend } from "../vcpu/backend";
import { commandAt, commandCount } from "./command";

const BLANK: u32 = 0x20;
const COMMA: u32 = 0x2c;
const EQUALS: u32 = 0x3d;
/** Candidates differ at this letter, or have ended. */
const NO_LETTER: u32 = 0;

/** The word that is being completed: where it begins, and how many letters of it have been typed. */
let word: usize = 0;
let typed: u32 = 0;
let start: u32 = 0;
/** Candidates are commands, not reasons. */
let commands: bool = false;

const text = memory.data(80, 16);
let length: u32 = 0;

/** Column of the first letter of the word that `complete` has completed. */
export function completionStart(): u32 {
  return start;
}

/** Linear address and length of what the word is to be. */
export function completed(): usize {
  return text;
}

export function completedLength(): u32 {
  return length;
}

/**
 * Completes the word of `line` (ending in zero) that ends at column `cursor`, as far as it is certain; what is not, it lists.
 * False: nothing begins so.
 */
export function complete(line: usize, cursor: u32): bool {
  start = cursor;
  while (start > 0 && !isSeparator(load<u8>(line + start - 1))) start--;
  commands = start == 0 || wordIs(line, "help");
  word = line + start;
  typed = cursor - start;
  const first = nextMatch(0);
  if (first == COUNTED_REASONS) return false;
  length = 0;
  for (let next = commonLetter(0); next != NO_LETTER; next = commonLetter(length)) {
    store<u8>(text + length++, <u8>next);
  }
  if (nextMatch(first + 1) == COUNTED_REASONS) store<u8>(text + length++, <u8>BLANK);
  else if (length == typed) list();
  return true;
}

function isSeparator(byte: u32): bool {
  return byte == BLANK || byte == COMMA || byte == EQUALS;
}

/** Candidate `index`; empty: there is none with this number. */
function candidate(index: u32): string {
  if (commands) return index < commandCount() ? commandAt(index).name : "";
  const name = backend().reasonName(reasonOfIndex(index));
  return isNamed(name) ? name : "";
}

/** The first candidate from `index` on that begins with what was typed; COUNTED_REASONS: no more. */
function nextMatch(index: u32): u32 {
  for (let i = index; i < COUNTED_REASONS; i++) {
    const name = candidate(i);
    let same: u32 = 0;
    while (same < typed && foldedLetter(nameLetter(name, same)) == foldedLetter(load<u8>(word + same)))
      same++;
    if (same == typed && name.length != 0) return i;
  }
  return COUNTED_REASONS;
}

/** Letter `at` that all matches have. */
function commonLetter(at: u32): u32 {
  const first = nextMatch(0);
  const common = nameLetter(candidate(first), at);
  for (let i = nextMatch(first + 1); i < COUNTED_REASONS; i = nextMatch(i + 1)) {
    if (nameLetter(candidate(i), at) != common) return NO_LETTER;
  }
  return common;
}

function list(): void {
  logEnd();
  for (let i = nextMatch(0); i < COUNTED_REASONS; i = nextMatch(i + 1)) {
    const name = candidate(i);
    for (let j = 0; j < name.length; j++) logByte(nameLetter(name, j));
    logText("  ");
  }
  logEnd();
}
