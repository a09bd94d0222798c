// `pt GVA`: the guest's own page tables, entry by entry.
import { logEnd, logHex, logText } from "../../lib/log";
import { NOT_A_NUMBER } from "../../lib/options";
import { NO_HPA } from "../../mm/frames";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";
import { walkLinear } from "../pagewalk";
import { complain, parseAddress } from "../words";

export function pt(vcpu: Vcpu, args: usize): u32 {
  const gva = parseAddress(vcpu, args);
  if (gva == NOT_A_NUMBER)
    return complain("expected a linear address, such as 0xffffffff81000000 or rip", args);
  const gpa = walkLinear(vcpu, gva, true);
  if (gpa == NO_HPA) logText("not mapped: accesses fault");
  else {
    logText("guest-physical ");
    logHex(gpa);
  }
  logEnd();
  return STAY;
}
