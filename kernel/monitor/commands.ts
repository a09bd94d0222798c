// biome-ignore-all format: one command a line.
//
// The monitor's commands, in the order of `help`.
import { commandAdd, commandCount } from "./command";
import { clear } from "./commands/clear";
import { leave } from "./commands/continue";
import { ept } from "./commands/ept";
import { help } from "./commands/help";
import { info } from "./commands/info";
import { mem } from "./commands/mem";
import { pt } from "./commands/pt";
import { quit } from "./commands/quit";
import { regs } from "./commands/regs";
import { top } from "./commands/top";
import { trace } from "./commands/trace";
import { vmcs } from "./commands/vmcs";
import { vmexit } from "./commands/vmexit";

/** Fills the table, once. */
export function commandsPrepare(): void {
  if (commandCount() != 0) return;
  commandAdd("vmexit",   "[REASON]",           "exits by reason, or one reason's times", vmexit);
  commandAdd("top",      "",                   "exits per second, until a key is pressed", top);
  commandAdd("clear",    "",                   "counts from zero again", clear);
  commandAdd("trace",    "on|off|filter [KEY=VALUE,...]", "record exits: all, or vm vcpu every rip port msr leaf reason", trace);
  commandAdd("regs",     "",                   "the vCPU's registers", regs);
  commandAdd("mem",      "[gpa:]ADDRESS [BYTES]", "the guest's memory, at a linear or physical address", mem);
  commandAdd("pt",       "GVA",                "the guest's page tables for a linear address", pt);
  commandAdd("ept",      "GPA",                "the nested page tables for a physical address", ept);
  commandAdd("npt",      "GPA",                "the same", ept);
  commandAdd("vmcs",     "",                   "the processor's control structure", vmcs);
  commandAdd("vmcb",     "",                   "the same", vmcs);
  commandAdd("info",     "",                   "the computer and its VMs", info);
  commandAdd("continue", "",                   "back to the guest (Ctrl-D)", leave);
  commandAdd("quit",     "",                   "stop the VM", quit);
  commandAdd("help",     "[COMMAND]",          "what there is", help);
}
