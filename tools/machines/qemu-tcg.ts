// QEMU's own CPU emulation with AMD-V and nested paging: works everywhere.
import type { Machine } from "./machine.ts";
import { launchQemu, probeQemu } from "./qemu.ts";

export const qemuTcg: Machine = {
  name: "qemu-tcg",
  summary: "AMD-V with nested paging, emulated by QEMU",
  backends: () => ["svm"],
  probe: probeQemu,
  launch: (plan) => launchQemu(plan, ["-accel", "tcg", "-cpu", "max"]),
};
