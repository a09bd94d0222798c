// QEMU with KVM on a computer that lets guests use VT-x or AMD-V: the hypervisor runs nested, at hardware speed.
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import type { Backend, Machine, Probe } from "./machine.ts";
import { launchQemu, probeQemu } from "./qemu.ts";

const DEVICE = "/dev/kvm";
const VENDOR_MODULE: Record<Backend, string> = { vmx: "kvm_intel", svm: "kvm_amd" };

export const qemuKvm: Machine = {
  name: "qemu-kvm",
  summary: "VT-x or AMD-V of this computer, nested in KVM",
  backends: () => hostBackend() ?? [],
  probe: async () => {
    const problem = findProblem();
    return problem ?? probeQemu();
  },
  launch: (plan) => launchQemu(plan, ["-accel", "kvm", "-cpu", "host"]),
};

/** The extension of this computer's processors, if they show one. */
function hostBackend(): [Backend] | undefined {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(" ") ?? [];
  if (flags.includes("vmx")) return ["vmx"];
  if (flags.includes("svm")) return ["svm"];
  return undefined;
}

/** What stands in the way of nested virtualization, if anything does. */
function findProblem(): Probe | undefined {
  const backend = hostBackend()?.[0];
  if (!backend) {
    return {
      available: false,
      reason: "this computer's processors show neither vmx nor svm",
      advice:
        "enable virtualization in the firmware, or nested virtualization of the machine that this one runs in",
    };
  }
  if (!existsSync(DEVICE)) {
    const advice = `load the module: modprobe ${VENDOR_MODULE[backend]}`;
    return { available: false, reason: `${DEVICE} does not exist`, advice };
  }
  return denied() ?? notNested(backend);
}

function denied(): Probe | undefined {
  try {
    accessSync(DEVICE, constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    const advice = "add yourself to its group (usermod -aG kvm USER) and log in again";
    return { available: false, reason: `${DEVICE} may not be opened by this user`, advice };
  }
}

function notNested(backend: Backend): Probe | undefined {
  const module = VENDOR_MODULE[backend];
  const parameter = `/sys/module/${module}/parameters/nested`;
  const value = existsSync(parameter) ? readFileSync(parameter, "utf8").trim() : "";
  if (value === "Y" || value === "1") return undefined;
  const advice = `modprobe -r ${module} && modprobe ${module} nested=1`;
  return { available: false, reason: `KVM does not nest (${parameter} is "${value}")`, advice };
}
