// `quit`: stops the VM.
import { stopByPerson, vmOf } from "../../guest/vm";
import { Vcpu } from "../../vcpu/vcpu";
import { LEAVE } from "../command";

export function quit(vcpu: Vcpu, _args: usize): u32 {
  stopByPerson(vmOf(vcpu));
  return LEAVE;
}
