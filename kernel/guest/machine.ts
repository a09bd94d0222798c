// Installs, for exit handlers and backends, what they may ask of the VM around a vCPU (kernel/vcpu/machine.ts).
import { lapicSetTprClass, lapicTprClass } from "../devices/lapic";
import { GuestMemory } from "../mm/guestmem";
import { Machine } from "../vcpu/machine";
import { Vcpu } from "../vcpu/vcpu";
import { cpuidLookup } from "./cpuid";
import { hypercall } from "./hypercall";
import { platformMmioRead, platformMmioWrite } from "./mmio-access";
import { msrRead, msrWrite } from "./msr";
import { lapicOf } from "./platform";
import {
  platformPortRead,
  platformPortReadWide,
  platformPortWrite,
  platformPortWriteWide,
} from "./port-access";
import { populate } from "./ram";
import { settleLapic } from "./settle";
import { shutDown, stopVm, vmOf } from "./vm";

/** Fills the table; boot time only. */
export function machineInstall(table: Machine): void {
  table.portRead = platformPortRead;
  table.portWrite = platformPortWrite;
  table.portReadWide = platformPortReadWide;
  table.portWriteWide = platformPortWriteWide;
  table.mmioRead = platformMmioRead;
  table.mmioWrite = platformMmioWrite;
  table.guestMemory = guestMemory;
  table.populate = populate;
  table.cpuid = cpuidLookup;
  table.msrRead = msrRead;
  table.msrWrite = msrWrite;
  table.tprRead = tprRead;
  table.tprWrite = tprWrite;
  table.hypercall = hypercall;
  table.xcr0Mask = xcr0Mask;
  table.cr4Mask = cr4Mask;
  table.physicalBits = physicalBits;
  table.shutDown = shutDown;
  table.stopsAtUnknown = stopsAtUnknown;
  table.stop = stopVm;
}

function guestMemory(vcpu: Vcpu): GuestMemory {
  return vmOf(vcpu).memory;
}

function tprRead(vcpu: Vcpu): u32 {
  return lapicTprClass(lapicOf(vcpu));
}

/** A lower priority may let a waiting interrupt through. */
function tprWrite(vcpu: Vcpu, value: u32): void {
  const l = lapicOf(vcpu);
  lapicSetTprClass(l, value);
  settleLapic(vcpu, l);
}

function xcr0Mask(vcpu: Vcpu): u64 {
  return vmOf(vcpu).xcr0Mask;
}

function cr4Mask(vcpu: Vcpu): u64 {
  return vmOf(vcpu).cr4Mask;
}

function stopsAtUnknown(vcpu: Vcpu): bool {
  return vmOf(vcpu).stopAtUnknown;
}

function physicalBits(vcpu: Vcpu): u32 {
  return vmOf(vcpu).physicalBits;
}
