// `ept GPA`, `npt GPA`: the nested page tables, entry by entry.
import { logEnd, logHex, logText } from "../../lib/log";
import { NOT_A_NUMBER } from "../../lib/options";
import { NO_HPA } from "../../mm/frames";
import { Vcpu } from "../../vcpu/vcpu";
import { STAY } from "../command";
import { walkNested } from "../pagewalk";
import { complain, parseAddress } from "../words";

/** Four levels translate no more. */
const ADDRESS_BITS: u64 = 48;

export function ept(vcpu: Vcpu, args: usize): u32 {
  const gpa = parseAddress(vcpu, args);
  if (gpa == NOT_A_NUMBER) return complain("expected a guest-physical address such as 0xfee00000", args);
  if (gpa >> ADDRESS_BITS != 0) return complain("guest-physical addresses have at most 48 bits", args);
  const hpa = walkNested(vcpu, gpa);
  if (hpa == NO_HPA) logText("not mapped: accesses exit");
  else {
    logText("host-physical ");
    logHex(hpa);
  }
  logEnd();
  return STAY;
}
