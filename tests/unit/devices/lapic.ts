// The local APIC's registers, and the accesses that its tests are made of.
import { expect } from "vitest";
import { type Device, openDevice } from "./device.js";

export const [ID, VERSION, TPR, PPR, EOI, LDR, DFR, SVR, ESR, ICR, ICR2] = [
  0x20, 0x30, 0x80, 0xa0, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310,
] as const;
export const [ISR, TMR, IRR] = [0x100, 0x180, 0x200] as const;
export const [LVTT, LVT_THERMAL, LVTPC, LVT0, LVT1, LVTERR, TMICT, TMCCT, TDCR] = [
  0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x390, 0x3e0,
] as const;
export const MASKED = 0x10000;
export const X2APIC_ON = 0xfee00d00n;

export const open = (id = 0) => openDevice("lapic", "lapic", id, 1);
export const enable = (apic: Device) => apic.write(SVR, 0x1ff, 4);
export const deliver = (apic: Device, vector: number, level = false) =>
  apic.call("Deliver", vector, level ? 1 : 0);
export const pending = (apic: Device) => apic.call("HighestPending");
/** Takes what is pending, as the platform does; there must be something. */
export const acknowledge = (apic: Device) => apic.call("Accept", pending(apic));
export const eoi = (apic: Device) => apic.write(EOI, 0, 4);
export const bit = (apic: Device, base: number, vector: number) =>
  (apic.read(base + (vector >> 5) * 16, 4) >>> (vector & 31)) & 1;

export const rdmsr = (apic: Device, msr: number): bigint | "#GP" =>
  apic.call("HasMsr", msr) === 1 ? apic.call64("MsrRead", msr, apic.now) : "#GP";
export const wrmsr = (apic: Device, msr: number, value: bigint): "ok" | "#GP" =>
  apic.call("MsrWrite", msr, value, apic.now) === 1 ? "ok" : "#GP";
export const toX2apic = (apic: Device) => expect(apic.call("SetBase", X2APIC_ON)).toBe(1);
