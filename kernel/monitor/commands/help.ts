// `help [COMMAND]`: what there is.
import { blanks } from "../../lib/columns";
import { logEnd, logText } from "../../lib/log";
import { Vcpu } from "../../vcpu/vcpu";
import { Command, commandAt, commandCalled, commandCount, STAY } from "../command";
import { complain, isEnd } from "../words";

const WIDTH: i32 = 36;

export function help(_vcpu: Vcpu, args: usize): u32 {
  if (isEnd(args)) {
    for (let i: u32 = 0; i < commandCount(); i++) describe(commandAt(i));
    return STAY;
  }
  const command = commandCalled(args);
  if (command === null) return complain("there is no such command, see `help`", args);
  describe(command);
  return STAY;
}

function describe(command: Command): void {
  logText(command.name);
  logText(" ");
  logText(command.usage);
  blanks(WIDTH - command.name.length - command.usage.length);
  logText(command.words);
  logEnd();
}
