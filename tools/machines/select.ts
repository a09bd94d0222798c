// All machine kinds, and the choice among them.
import { UserError } from "../lib/user-error.ts";
import { bochs } from "./bochs.ts";
import type { Backend, Machine, Probe } from "./machine.ts";
import { qemuKvm } from "./qemu-kvm.ts";
import { qemuPlain } from "./qemu-plain.ts";
import { qemuTcg } from "./qemu-tcg.ts";

/** Best first: the order in which `auto` tries them. */
const HYPERVISOR_MACHINES: Machine[] = [qemuKvm, qemuTcg, bochs];

/** Every machine that `--machine` names. */
export const MACHINES: Machine[] = [...HYPERVISOR_MACHINES, qemuPlain];

export interface Choice {
  machine: Machine;
  probe: Probe;
  /** Why the better ones were passed over: "qemu-kvm: …". */
  passedOver: string[];
}

/**
 * The machine called `name`, or the best for `auto`.
 * @throws UserError saying why there is none and what to install.
 */
export async function selectMachine(name: string, backend: Backend | "auto"): Promise<Choice> {
  return name === "auto" ? selectBest(backend) : selectNamed(name, backend);
}

async function selectNamed(name: string, backend: Backend | "auto"): Promise<Choice> {
  const machine = MACHINES.find((candidate) => candidate.name === name);
  if (!machine) {
    const names = MACHINES.map((candidate) => candidate.name).join(", ");
    throw new UserError(`--machine ${name}: there is no such machine. Choose auto, ${names}.`);
  }
  const probe = await machine.probe();
  if (!probe.available) throw new UserError(unavailable(machine, probe));
  if (!offers(machine, backend)) {
    throw new UserError(
      `--backend ${backend}: machine ${name} does not have it (${machine.summary}). ` +
        `Choose --machine ${backend === "vmx" ? "bochs" : "qemu-tcg"}, or leave --backend out.`,
    );
  }
  return { machine, probe, passedOver: [] };
}

async function selectBest(backend: Backend | "auto"): Promise<Choice> {
  const passedOver: string[] = [];
  const advice: string[] = [];
  for (const machine of HYPERVISOR_MACHINES) {
    const probe = await machine.probe();
    if (probe.available && offers(machine, backend)) return { machine, probe, passedOver };
    passedOver.push(`${machine.name}: ${probe.available ? `has no ${backend}` : probe.reason}`);
    if (!probe.available) advice.push(unavailable(machine, probe));
  }
  throw new UserError(`No machine can run the hypervisor here.\n${advice.join("\n")}`);
}

function offers(machine: Machine, backend: Backend | "auto"): boolean {
  return backend === "auto" || machine.backends().includes(backend);
}

function unavailable(machine: Machine, probe: Probe): string {
  const advice = probe.advice ? ` To get it: ${probe.advice}.` : "";
  return `Machine ${machine.name} is not available: ${probe.reason}.${advice}`;
}
