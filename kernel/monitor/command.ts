// What a command of the monitor is, and the table of all of them.
import { wordIs } from "../lib/options";
import { Vcpu } from "../vcpu/vcpu";

// What a command wants done next.

/** Asks for the next command. */
export const STAY: u32 = 0;
/** Back to the guest. */
export const LEAVE: u32 = 1;
/** The guest runs on, and `top` is shown until a key is pressed. */
export const WATCH: u32 = 2;

@unmanaged
export class Command {
  name: string;
  /** Its arguments, those that may be left out in brackets. */
  usage: string;
  /** What it does, in a line. */
  words: string;
  /** Runs it on a vCPU; `args`: linear address of its arguments, which end in zero. Returns STAY, LEAVE or WATCH. */
  run: (vcpu: Vcpu, args: usize) => u32;
}

const MAX_COMMANDS: u32 = 16;
const COMMAND_BYTES: u32 = offsetof<Command>();

const table = memory.data(256, 16);
let count: u32 = 0;

/** Adds a command to the table. */
export function commandAdd(
  name: string,
  usage: string,
  words: string,
  run: (vcpu: Vcpu, args: usize) => u32,
): void {
  assert(count < MAX_COMMANDS, "monitor: table of commands full");
  const command = commandAt(count++);
  command.name = name;
  command.usage = usage;
  command.words = words;
  command.run = run;
}

export function commandCount(): u32 {
  return count;
}

/** Command `index`, in the order of `help`. */
export function commandAt(index: u32): Command {
  return changetype<Command>(table + <usize>(index * COMMAND_BYTES));
}

/** The command called by the word at linear address `word`, which ends in a blank or zero; null: there is none. */
export function commandCalled(word: usize): Command | null {
  for (let i: u32 = 0; i < count; i++) if (wordIs(word, commandAt(i).name)) return commandAt(i);
  return null;
}
