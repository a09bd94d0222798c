// `info`: the computer, the hypervisor and its VMs.
import { VERSION } from "../../abi/version";
import { tscHz } from "../../arch/clock";
import { Vm, vmAt, vmCount, vmNow } from "../../guest/vm";
import { logHundredths } from "../../lib/columns";
import { logDecimal, logEnd, logText } from "../../lib/log";
import { framesFree, framesTotal } from "../../mm/frames";
import { backend } from "../../vcpu/backend";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";

const NS_PER_HUNDREDTH: u64 = 10_000_000;

export function info(_vcpu: Vcpu, _args: usize): u32 {
  logText("Typevisor ");
  logText(VERSION);
  logText(", ");
  logText(backend().name);
  number(", TSC ", tscHz() / 1000, " kHz");
  number(", ", framesTotal() >> 20, " MiB RAM");
  number(", ", framesFree() >> 20, " MiB free");
  logEnd();
  for (let i: u32 = 0; i < vmCount(); i++) describe(vmAt(i));
  return STAY;
}

function number(before: string, value: u64, after: string): void {
  logText(before);
  logDecimal(value);
  logText(after);
}

function describe(vm: Vm): void {
  number("vm", vm.index, ": ");
  number("", vm.memoryBytes >> 10, " KiB RAM");
  number(", ", vm.cpus, " vCPUs");
  number(", ", vm.resets, " resets, ");
  if (vm.stopped) logText(vm.stopReason);
  else {
    logText("up ");
    logHundredths(vmNow(vm) / NS_PER_HUNDREDTH);
    logText(" s");
  }
  logEnd();
}
