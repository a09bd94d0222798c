// Arguments of commands: words separated by blanks, in a line that ends in zero.
import { logBytes, logEnd, logText } from "../lib/log";
import { NOT_A_NUMBER, parseNumber, wordEnd, wordIs } from "../lib/options";
import { need } from "../vcpu/backend";
import { GROUP_STACK_FLAGS } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { STAY } from "./command";

const BLANK: u32 = 0x20;

/** Linear address of the first word at or after `at`. */
export function wordAt(at: usize): usize {
  while (load<u8>(at) == BLANK) at++;
  return at;
}

/** Linear address of the word after the one at `at`. */
export function nextWord(at: usize): usize {
  return wordAt(wordEnd(at));
}

/** Whether no word is left. */
export function isEnd(at: usize): bool {
  return load<u8>(at) == 0;
}

/** The address that the word at `at` means: a number, `rip` or `rsp`. NOT_A_NUMBER: it means none. */
export function parseAddress(vcpu: Vcpu, at: usize): u64 {
  if (wordIs(at, "rip")) return vcpu.rip;
  if (!wordIs(at, "rsp")) return isEnd(at) ? NOT_A_NUMBER : parseNumber(at);
  need(vcpu, GROUP_STACK_FLAGS);
  return vcpu.rsp;
}

/** Says what is wrong with the word at `at`. Returns STAY. */
export function complain(text: string, at: usize): u32 {
  logText(text);
  if (!isEnd(at)) {
    logText(": ");
    logBytes(at, <u32>(wordEnd(at) - at));
  }
  logEnd();
  return STAY;
}
