// The local APIC against Intel's manual (volume 3, "Advanced Programmable Interrupt Controller") and the way
// Linux sets it up; its timer has a file of its own.
import { describe, expect, test } from "vitest";
import { type Device, field, fuzz, loadWithFields, makeDevice, NEVER, SECOND } from "./device.js";
import {
  acknowledge,
  bit,
  DFR,
  deliver,
  ESR,
  enable,
  eoi,
  ICR,
  ICR2,
  ID,
  IRR,
  ISR,
  LDR,
  LVT_THERMAL,
  LVT0,
  LVT1,
  LVTERR,
  LVTPC,
  LVTT,
  MASKED,
  open,
  PPR,
  pending,
  rdmsr,
  SVR,
  TMICT,
  TMR,
  TPR,
  toX2apic,
  VERSION,
  wrmsr,
} from "./lapic.js";

describe("registers", () => {
  test("power-up state", async () => {
    const apic = await open(3);
    expect(apic.read(ID, 4)).toBe(3 << 24);
    expect(apic.read(VERSION, 4) & 0xff).toBe(0x14);
    expect((apic.read(VERSION, 4) >> 16) & 0xff).toBe(5);
    expect([SVR, TPR, LDR, DFR].map((r) => apic.read(r, 4))).toEqual([0xff, 0, 0, 0xffffffff]);
    expect([LVTT, LVT_THERMAL, LVTPC, LVT0, LVT1, LVTERR].map((r) => apic.read(r, 4))).toEqual(
      Array(6).fill(MASKED),
    );
    expect(apic.call64("Base")).toBe(0xfee00900n);
  });

  test("Linux's setup: LVT writes stick once enabled; disabling masks them all", async () => {
    const apic = await open();
    apic.write(LVT0, 0x700, 4);
    expect(apic.read(LVT0, 4)).toBe(MASKED | 0x700); // software-disabled: mask cannot be cleared
    enable(apic);
    apic.write(LVT0, 0x700, 4);
    apic.write(LVT1, 0x400, 4);
    apic.write(LVTERR, 0xfe, 4);
    expect([LVT0, LVT1, LVTERR].map((r) => apic.read(r, 4))).toEqual([0x700, 0x400, 0xfe]);
    apic.write(SVR, 0xff, 4);
    expect([LVT0, LVT1, LVTERR].map((r) => apic.read(r, 4) & MASKED)).toEqual([MASKED, MASKED, MASKED]);
  });

  test("the error register latches on write: an unknown register, a bad vector", async () => {
    const apic = await open();
    enable(apic);
    apic.read(0x3f0, 4);
    expect(apic.read(ESR, 4)).toBe(0);
    apic.write(ESR, 0, 4);
    expect(apic.read(ESR, 4)).toBe(0x80);
    deliver(apic, 15);
    apic.write(ICR, 0x40000 | 5, 4);
    apic.write(ESR, 0, 4);
    expect(apic.read(ESR, 4)).toBe(0x60);
    apic.write(ESR, 0, 4);
    expect(apic.read(ESR, 4)).toBe(0);
    expect(pending(apic)).toBe(-1);
  });

  test("an error interrupts through its LVT entry", async () => {
    const apic = await open();
    enable(apic);
    apic.write(LVTERR, 0xfe, 4);
    apic.read(0x000, 4);
    expect(pending(apic)).toBe(0xfe);
  });

  test("between registers are zeros; narrow reads shift; narrow or odd writes do nothing", async () => {
    const apic = await open(0x12);
    expect(apic.read(ID + 3, 1)).toBe(0x12);
    expect(apic.read(ID + 2, 2)).toBe(0x1200);
    expect(apic.read(ID + 4, 4)).toBe(0);
    apic.write(TPR, 0x30, 1);
    apic.write(TPR + 4, 0x30, 4);
    expect(apic.read(TPR, 4)).toBe(0);
  });
});

describe("priorities", () => {
  test("classes nest; a lower or equal class waits", async () => {
    const apic = await open();
    enable(apic);
    deliver(apic, 0x41);
    deliver(apic, 0x55);
    expect(acknowledge(apic)).toBe(0x55);
    expect(apic.read(PPR, 4)).toBe(0x50);
    expect([bit(apic, IRR, 0x41), bit(apic, ISR, 0x55), bit(apic, IRR, 0x55)]).toEqual([1, 1, 0]);
    deliver(apic, 0x5f);
    expect(pending(apic)).toBe(-1);
    deliver(apic, 0x60);
    expect(acknowledge(apic)).toBe(0x60);
    eoi(apic);
    expect(pending(apic)).toBe(-1); // 0x5f waits for 0x55
    eoi(apic);
    for (const vector of [0x5f, 0x41]) {
      expect(acknowledge(apic)).toBe(vector);
      eoi(apic);
    }
    expect(pending(apic)).toBe(-1);
  });

  test("the task priority holds back its class and below; CR8 is its upper nibble", async () => {
    const apic = await open();
    enable(apic);
    deliver(apic, 0x51);
    apic.write(TPR, 0x5f, 4);
    expect(pending(apic)).toBe(-1);
    expect(apic.call("TprClass")).toBe(5);
    apic.call("SetTprClass", 4);
    expect(apic.read(TPR, 4)).toBe(0x40);
    expect(pending(apic)).toBe(0x51);
    expect(apic.read(PPR, 4)).toBe(0x40);
  });

  test("every vector from 16 to 255 is delivered once, highest first", async () => {
    const apic = await open();
    enable(apic);
    for (let v = 16; v < 256; v++) deliver(apic, v);
    for (let v = 255; v >= 16; v--) {
      expect(acknowledge(apic)).toBe(v);
      eoi(apic);
    }
    expect(pending(apic)).toBe(-1);
  });

  test("a disabled APIC accepts nothing; what it accepted before is still there", async () => {
    const apic = await open();
    deliver(apic, 0x40);
    expect(pending(apic)).toBe(-1);
    enable(apic);
    deliver(apic, 0x40);
    apic.write(SVR, 0xff, 4);
    deliver(apic, 0x80);
    expect(pending(apic)).toBe(0x40);
  });

  test("the EOI of a level-triggered interrupt, and only that, is broadcast", async () => {
    const apic = await open();
    enable(apic);
    deliver(apic, 0x40, true);
    expect(bit(apic, TMR, 0x40)).toBe(1);
    acknowledge(apic);
    eoi(apic);
    expect([apic.call("TakeEoi"), apic.call("TakeEoi")]).toEqual([0x40, -1]);
    deliver(apic, 0x40, false);
    acknowledge(apic);
    eoi(apic);
    expect(apic.call("TakeEoi")).toBe(-1);
    apic.write(SVR, 0x11ff, 4); // suppress EOI broadcast
    deliver(apic, 0x40, true);
    acknowledge(apic);
    eoi(apic);
    expect(apic.call("TakeEoi")).toBe(-1);
  });

  test("an EOI with nothing in service does nothing", async () => {
    const apic = await open();
    enable(apic);
    eoi(apic);
    expect(apic.call("TakeEoi")).toBe(-1);
  });
});

describe("x2APIC", () => {
  test("mode transitions: only those the manual draws", async () => {
    const apic = await open();
    const base = (value: bigint) => apic.call("SetBase", value);
    expect(base(0xfee00500n)).toBe(0); // EXTD without EN
    expect(base(0xfee00901n)).toBe(0); // reserved
    expect(rdmsr(apic, 0x802)).toBe("#GP");
    expect(base(0xfee00d00n)).toBe(1);
    expect(base(0xfee00900n)).toBe(0); // back to xAPIC without disabling
    expect(base(0xfee00100n)).toBe(1);
    expect(base(0xfee00d00n)).toBe(0); // from disabled straight to x2APIC
    expect(base(0xfee00900n)).toBe(1);
    expect(apic.read(SVR, 4)).toBe(0xff); // state was lost
  });

  test("32-bit ID, derived logical ID, 64-bit ICR; no MMIO any more", async () => {
    const apic = await open(0x25);
    toX2apic(apic);
    expect(rdmsr(apic, 0x802)).toBe(0x25n);
    expect(rdmsr(apic, 0x80d)).toBe(0x20020n);
    expect(wrmsr(apic, 0x830, 0x0000000700000000n | 0xfdn)).toBe("ok");
    expect(rdmsr(apic, 0x830)).toBe(0x7000000fdn);
    expect(apic.read(ID, 4)).toBe(0xffffffff);
  });

  test("read-only, write-only, absent registers and reserved bits fault", async () => {
    const apic = await open();
    toX2apic(apic);
    for (const msr of [0x802, 0x803, 0x80a, 0x80d, 0x80e, 0x810, 0x820, 0x831, 0x839, 0x800, 0x8ff])
      expect([msr, wrmsr(apic, msr, 0n)]).toEqual([msr, "#GP"]);
    for (const msr of [0x80b, 0x80e, 0x831, 0x83f, 0x809, 0x80c, 0x800, 0x8ff, 0x7ff])
      expect([msr, rdmsr(apic, msr)]).toEqual([msr, "#GP"]);
    expect([
      wrmsr(apic, 0x80b, 1n),
      wrmsr(apic, 0x828, 1n),
      wrmsr(apic, 0x808, 0x100n),
      wrmsr(apic, 0x80f, 0x800n),
      wrmsr(apic, 0x838, 1n << 32n),
    ]).toEqual(Array(5).fill("#GP"));
    expect([
      wrmsr(apic, 0x80b, 0n),
      wrmsr(apic, 0x828, 0n),
      wrmsr(apic, 0x808, 0xffn),
      wrmsr(apic, 0x80f, 0x1ffn),
      wrmsr(apic, 0x838, 0xffffffffn),
    ]).toEqual(Array(5).fill("ok"));
  });

  test("self IPI", async () => {
    const apic = await open();
    toX2apic(apic);
    wrmsr(apic, 0x80f, 0x1ffn);
    expect(wrmsr(apic, 0x83f, 0x77n)).toBe("ok");
    expect(pending(apic)).toBe(0x77);
    expect(apic.call64("TakeIpi")).toBe(NEVER);
  });
});

describe("interprocessor interrupts", () => {
  /** A second APIC in the same module. */
  async function pair(firstId = 0, secondId = 1): Promise<[Device, Device]> {
    const a = await open(firstId);
    const b = makeDevice(a.kernel, "lapic", secondId, 0);
    enable(a);
    enable(b);
    return [a, b];
  }
  const send = (from: Device, to: Device, low: number, destination: number): boolean => {
    from.write(ICR2, destination << 24, 4);
    from.write(ICR, low, 4);
    const icr = from.call64("TakeIpi");
    if (icr === NEVER || from.kernel.exports.lapicIpiMatches?.(icr, from.pointer, to.pointer) !== 1)
      return false;
    to.call("Ipi", icr);
    return true;
  };

  test("physical destination, broadcast, and the shorthands", async () => {
    const [a, b] = await pair();
    expect(send(a, b, 0x40, 1)).toBe(true);
    expect([pending(a), pending(b)]).toEqual([-1, 0x40]);
    expect(send(a, b, 0x41, 2)).toBe(false);
    expect(send(a, b, 0x42, 0)).toBe(false); // itself
    expect(pending(a)).toBe(0x42);
    expect(send(a, b, 0x50, 0xff)).toBe(true);
    expect([pending(a), pending(b)]).toEqual([0x50, 0x50]);
    expect(send(a, b, 0x40000 | 0x60, 1)).toBe(false); // self
    expect([pending(a), pending(b)]).toEqual([0x60, 0x50]);
    expect(send(a, b, 0x80000 | 0x70, 9)).toBe(true); // all including self
    expect([pending(a), pending(b)]).toEqual([0x70, 0x70]);
    expect(send(a, b, 0xc0000 | 0x80, 9)).toBe(true); // all excluding self
    expect([pending(a), pending(b)]).toEqual([0x70, 0x80]);
  });

  test("logical destination, flat and cluster", async () => {
    const [a, b] = await pair();
    a.write(LDR, 0x01000000, 4);
    b.write(LDR, 0x02000000, 4);
    expect(send(a, b, 0x800 | 0x40, 0x02)).toBe(true);
    expect(send(a, b, 0x800 | 0x41, 0x01)).toBe(false);
    expect(pending(a)).toBe(0x41);
    b.write(DFR, 0, 4);
    b.write(LDR, 0x32000000, 4); // cluster 3, second CPU
    expect(send(a, b, 0x800 | 0x40, 0x32)).toBe(true);
    expect(send(a, b, 0x800 | 0x40, 0x22)).toBe(false);
    expect(send(a, b, 0x800 | 0x40, 0x31)).toBe(false);
    expect(send(a, b, 0x800 | 0x40, 0xf2)).toBe(true);
  });

  test("x2APIC logical destinations are cluster and bit of the APIC ID", async () => {
    const [a, b] = await pair(0, 0x13);
    toX2apic(a);
    toX2apic(b);
    const matches = (icr: bigint) => a.kernel.exports.lapicIpiMatches?.(icr, a.pointer, b.pointer);
    expect(matches((0x00010008n << 32n) | 0x840n)).toBe(1);
    expect(matches((0x00010004n << 32n) | 0x840n)).toBe(0);
    expect(matches((0x00000008n << 32n) | 0x840n)).toBe(0);
    expect(matches((0x13n << 32n) | 0x40n)).toBe(1);
    expect(matches((0xffffffffn << 32n) | 0x40n)).toBe(1);
    expect(matches((0xffn << 32n) | 0x40n)).toBe(0);
    expect(b.call("Matches", 0xff, 0)).toBe(1); // an IOAPIC's broadcast
  });

  test("the start-up sequence: INIT, then its de-assert which means nothing, then SIPI", async () => {
    const [NMI, INIT, SIPI] = [1, 2, 4] as const;
    const fields = ["signals", "sipiVector"];
    const kernel = await loadWithFields("lapic", "Lapic", fields);
    const a = makeDevice(kernel, "lapic", 0, 1);
    const b = makeDevice(kernel, "lapic", 1, 0);
    enable(a);
    expect(send(a, b, 0x4500, 1)).toBe(true);
    expect(field(b, "signals")).toBe(INIT);
    expect(send(a, b, 0x8500, 1)).toBe(false);
    expect(send(a, b, 0x4600 | 0x9a, 1)).toBe(true); // accepted though software-disabled
    expect([field(b, "signals"), field(b, "sipiVector")]).toEqual([INIT | SIPI, 0x9a]);
    expect(send(a, b, 0x4400, 1)).toBe(true);
    expect(field(b, "signals")).toBe(INIT | SIPI | NMI);
    b.call("SetBase", 0xfee00000n); // disabled in its base register: deaf
    expect(send(a, b, 0x40, 1)).toBe(false);
  });
});

describe("pins", () => {
  test("LINT0 as ExtINT passes the PIC through, unless masked; always with the APIC off", async () => {
    const apic = await open();
    const extInt = () => apic.call("ExtIntPending");
    apic.call("SetLint", 0, 1);
    expect(extInt()).toBe(0);
    apic.call("SetVirtualWire");
    expect(extInt()).toBe(1);
    apic.write(LVT0, MASKED | 0x700, 4);
    expect(extInt()).toBe(0);
    apic.call("SetBase", 0xfee00100n);
    expect(extInt()).toBe(1);
    apic.call("SetLint", 0, 0);
    expect(extInt()).toBe(0);
  });

  test("LINT0 fixed and edge-triggered, as Linux's timer check tries it", async () => {
    const apic = await open();
    enable(apic);
    apic.write(LVT0, 0x31, 4);
    apic.call("SetLint", 0, 1);
    expect(acknowledge(apic)).toBe(0x31);
    eoi(apic);
    apic.call("SetLint", 0, 1);
    expect(pending(apic)).toBe(-1);
    apic.call("SetLint", 0, 0);
    apic.call("SetLint", 0, 1);
    expect(pending(apic)).toBe(0x31);
  });

  test("LINT1 fixed and level-triggered repeats after each EOI while it is high", async () => {
    const apic = await open();
    enable(apic);
    apic.write(LVT1, 0x8000 | 0x52, 4);
    apic.call("SetLint", 1, 1);
    expect(apic.read(LVT1, 4)).toBe(0x8000 | 0x4000 | 0x52);
    expect(acknowledge(apic)).toBe(0x52);
    expect(pending(apic)).toBe(-1);
    eoi(apic);
    expect(acknowledge(apic)).toBe(0x52);
    apic.call("SetLint", 1, 0);
    eoi(apic);
    expect(pending(apic)).toBe(-1);
    expect(apic.read(LVT1, 4)).toBe(0x8000 | 0x52);
  });
});

test("random accesses", async () => {
  const apic = await open();
  const offsets = Array.from({ length: 0x40 }, (_, i) => i * 16);
  fuzz(apic, [...offsets, SVR, SVR, LVTT, TMICT, 0x3f4, 0xffc], 20000, (random) => {
    if (random(3) === 0) deliver(apic, random(256), random(2) === 1);
    if (random(4) === 0) apic.call("SetLint", random(2), random(2));
    if (random(4) === 0) apic.write(SVR, 0x1ff, 4);
    if (random(3) === 0 && pending(apic) >= 0) expect(acknowledge(apic)).toBeLessThan(256);
    if (random(5) === 0) apic.call("SetTscDeadline", BigInt(random(2 ** 31)), apic.now, SECOND, apic.now);
    apic.call64("TakeIpi");
  });
});

test("random accesses to the x2APIC's MSRs", async () => {
  const apic = await open();
  toX2apic(apic);
  fuzz(apic, [0], 20000, (random) => {
    const msr = 0x800 + random(0x100);
    const values = [0n, 0xffn, 0x1ffn, BigInt(random(2 ** 31)), 0xffffffff_ffffffffn];
    if (random(2) === 0) wrmsr(apic, msr, values[random(values.length)] as bigint);
    else rdmsr(apic, msr);
    if (random(4) === 0) wrmsr(apic, 0x80f, 0x1ffn);
    if (random(3) === 0 && pending(apic) >= 0) expect(acknowledge(apic)).toBeLessThan(256);
    apic.call64("TakeIpi");
  });
});
