// QEMU without the hypervisor: the same guest on the bare emulator, for comparison.
import type { Machine } from "./machine.ts";
import { launchQemu, probeQemu } from "./qemu.ts";

export const qemuPlain: Machine = {
  name: "qemu-plain",
  summary: "the guest on bare QEMU, without Typevisor, for comparison",
  backends: () => [],
  probe: probeQemu,
  launch: (plan) => launchQemu(plan, ["-accel", "tcg", "-cpu", "max"]),
};
