// The 8259A pair against Intel's data sheet and the sequences of Linux's i8259 driver.
import { describe, expect, test } from "vitest";
import { type Device, fuzz, openDevice } from "./device.js";

// Offsets: 0, 1 master; 2, 3 slave; 4, 5 edge/level control.
const open = () => openDevice("pic8259", "pic8259");

/** Linux's init_8259A(0): vectors 30h and 38h, everything unmasked. */
async function openInitialized(icw4 = 0x01): Promise<Device> {
  const pic = await open();
  for (const [first, base, wiring] of [
    [0, 0x30, 4],
    [2, 0x38, 2],
  ] as const) {
    pic.write(first, 0x11);
    pic.write(first + 1, base);
    pic.write(first + 1, wiring);
    pic.write(first + 1, icw4);
  }
  pic.write(1, 0x00);
  pic.write(3, 0x00);
  return pic;
}
const pin = (pic: Device, irq: number, level: boolean) => pic.call("SetPin", irq, level ? 1 : 0);
function raise(pic: Device, irq: number): void {
  pin(pic, irq, false);
  pin(pic, irq, true);
}
const acknowledge = (pic: Device) => pic.call("Acknowledge");
function isr(pic: Device, first: number): number {
  pic.write(first, 0x0b);
  return pic.read(first);
}
function irr(pic: Device, first: number): number {
  pic.write(first, 0x0a);
  return pic.read(first);
}

describe("initialisation", () => {
  test("Linux's probe: the mask register holds what is written", async () => {
    const pic = await open();
    pic.write(3, 0xff);
    pic.write(1, 0xfb);
    expect([pic.read(1), pic.read(3)]).toEqual([0xfb, 0xff]);
  });

  test("silent until the four words have come", async () => {
    const pic = await open();
    raise(pic, 1);
    expect(pic.line).toBe(false);
    pic.write(0, 0x11);
    pic.write(1, 0x30);
    pic.write(1, 4);
    raise(pic, 1);
    expect(pic.line).toBe(false);
    pic.write(1, 1);
    expect(pic.line).toBe(true);
    expect(acknowledge(pic)).toBe(0x31);
  });

  test("a reset takes the slave's request back from the master", async () => {
    const pic = await openInitialized();
    raise(pic, 8);
    expect(pic.line).toBe(true);
    pic.call("Reset");
    for (const [port, value] of [
      [0, 0x19], // level-triggered: what is high requests at once
      [1, 0x30],
      [1, 4],
      [1, 1],
    ] as const)
      pic.write(port, value);
    expect([irr(pic, 0), pic.line]).toEqual([0, false]);
  });

  test("ICW1 forgets edges, masks and what is in service; an input must rise anew", async () => {
    const pic = await openInitialized();
    raise(pic, 3);
    acknowledge(pic);
    raise(pic, 4);
    pic.write(1, 0xf0);
    for (const [port, value] of [
      [0, 0x11],
      [1, 0x40],
      [1, 4],
      [1, 1],
    ] as const)
      pic.write(port, value);
    expect([pic.read(1), isr(pic, 0), irr(pic, 0), pic.line]).toEqual([0, 0, 0, false]);
    raise(pic, 4);
    expect(acknowledge(pic)).toBe(0x44);
  });

  test("single mode has no ICW3; without IC4 there is no ICW4", async () => {
    const pic = await open();
    pic.write(0, 0x12);
    pic.write(1, 0x20);
    raise(pic, 2 + 1);
    expect(acknowledge(pic)).toBe(0x23);
  });
});

describe("requests", () => {
  test.each(Array.from({ length: 16 }, (_, i) => i).filter((i) => i !== 2))(
    "IRQ %i gives its vector",
    async (irq) => {
      const pic = await openInitialized();
      raise(pic, irq);
      expect(pic.line).toBe(true);
      expect(acknowledge(pic)).toBe(0x30 + irq);
      expect(pic.line).toBe(false);
      if (irq >= 8) pic.write(2, 0x60 + (irq & 7));
      pic.write(0, irq >= 8 ? 0x62 : 0x60 + irq); // Linux: specific EOI, slave first, then the cascade
      expect([isr(pic, 0), isr(pic, 2)]).toEqual([0, 0]);
    },
  );

  test("an edge interrupts once, however long the input stays high", async () => {
    const pic = await openInitialized();
    raise(pic, 4);
    acknowledge(pic);
    pic.write(0, 0x20);
    expect(pic.line).toBe(false);
    raise(pic, 4);
    expect(pic.line).toBe(true);
  });

  test("fixed priorities: 0 1 8..15 3..7; a lower one waits for the EOI, a higher one nests", async () => {
    const pic = await openInitialized();
    for (const irq of [7, 3, 14, 8, 1]) raise(pic, irq);
    const order: number[] = [];
    while (pic.line) {
      order.push(acknowledge(pic) - 0x30);
      if ((order.at(-1) as number) >= 8) pic.write(2, 0x20);
      pic.write(0, 0x20);
    }
    expect(order).toEqual([1, 8, 14, 3, 7]);
    raise(pic, 5);
    acknowledge(pic);
    raise(pic, 6);
    expect(pic.line).toBe(false);
    raise(pic, 0);
    expect(acknowledge(pic)).toBe(0x30);
    expect(isr(pic, 0)).toBe(0x21);
  });

  test("a masked edge waits and comes when unmasked", async () => {
    const pic = await openInitialized();
    pic.write(1, 0x10);
    raise(pic, 4);
    expect([pic.line, irr(pic, 0)]).toEqual([false, 0x10]);
    pic.write(1, 0);
    expect(pic.line).toBe(true);
  });

  test("the slave interrupts again when a higher request comes during the first one's service", async () => {
    const pic = await openInitialized();
    raise(pic, 12);
    raise(pic, 8);
    expect(acknowledge(pic)).toBe(0x38);
    pic.write(2, 0x20);
    pic.write(0, 0x20);
    expect(acknowledge(pic)).toBe(0x3c);
  });

  test("automatic EOI: requests that waited in the slave at the acknowledge are not forgotten", async () => {
    const pic = await openInitialized(0x03);
    raise(pic, 12);
    raise(pic, 8);
    expect([acknowledge(pic), acknowledge(pic), pic.line]).toEqual([0x38, 0x3c, false]);
  });
});

describe("spurious interrupts", () => {
  test("a request that goes away gives vector 7 with nothing in service, as Linux checks", async () => {
    const pic = await openInitialized();
    raise(pic, 3);
    pin(pic, 3, false);
    expect(pic.line).toBe(false);
    expect(acknowledge(pic)).toBe(0x37);
    expect(isr(pic, 0) & 0x80).toBe(0);
  });

  test("a slave's request that goes away takes the cascade's with it: the master answers", async () => {
    const pic = await openInitialized();
    raise(pic, 10);
    pic.write(3, 0xff);
    expect(pic.line).toBe(false);
    expect(acknowledge(pic)).toBe(0x37);
    expect([isr(pic, 0), isr(pic, 2)]).toEqual([0, 0]);
  });
});

describe("levels", () => {
  test("ELCR: fixed edges stay edges; a level repeats until its input drops", async () => {
    const pic = await openInitialized();
    pic.write(4, 0xff);
    pic.write(5, 0xff);
    expect([pic.read(4), pic.read(5)]).toEqual([0xf8, 0xde]);
    pin(pic, 11, true);
    for (let i = 0; i < 3; i++) {
      expect(acknowledge(pic)).toBe(0x3b);
      expect(pic.line).toBe(false);
      pic.write(2, 0x63);
      pic.write(0, 0x62);
      expect(pic.line).toBe(true);
    }
    pin(pic, 11, false);
    expect(pic.line).toBe(false);
  });
});

describe("operation commands", () => {
  test("automatic EOI leaves nothing in service", async () => {
    const pic = await openInitialized(0x03);
    raise(pic, 3);
    acknowledge(pic);
    expect(isr(pic, 0)).toBe(0);
    raise(pic, 3);
    expect(acknowledge(pic)).toBe(0x33);
  });

  test("rotation puts the served request last", async () => {
    const pic = await openInitialized();
    raise(pic, 3);
    raise(pic, 4);
    expect(acknowledge(pic)).toBe(0x33);
    pic.write(0, 0xa0); // rotate on non-specific EOI
    raise(pic, 3);
    raise(pic, 0);
    expect(acknowledge(pic)).toBe(0x34); // order is now 4 5 6 7 0 1 2 3
    pic.write(0, 0xa0);
    expect(acknowledge(pic)).toBe(0x30);
    pic.write(0, 0xe0); // rotate on specific EOI of 0
    expect(acknowledge(pic)).toBe(0x33);
    pic.write(0, 0x63);
    pic.write(0, 0xc0 | 5); // set priority: 5 last, 6 first
    raise(pic, 0);
    raise(pic, 6);
    expect(acknowledge(pic)).toBe(0x36);
  });

  test("special mask mode lets lower priorities through while a masked one is in service", async () => {
    const pic = await openInitialized();
    raise(pic, 3);
    acknowledge(pic);
    raise(pic, 6);
    expect(pic.line).toBe(false);
    pic.write(1, 0x08);
    pic.write(0, 0x68);
    expect(acknowledge(pic)).toBe(0x36);
    pic.write(0, 0x20); // ends 6, not the masked 3
    expect(isr(pic, 0)).toBe(0x08);
    pic.write(0, 0x48);
    raise(pic, 6);
    expect(pic.line).toBe(false);
  });

  test("special fully nested mode: the slave may interrupt its own service", async () => {
    const pic = await openInitialized(0x11);
    raise(pic, 12);
    acknowledge(pic);
    raise(pic, 5);
    expect(pic.line).toBe(false);
    raise(pic, 8);
    expect(acknowledge(pic)).toBe(0x38);
  });

  test("poll mode acknowledges by reading", async () => {
    const pic = await openInitialized();
    pic.write(0, 0x0c);
    expect(pic.read(0)).toBe(0);
    raise(pic, 10);
    pic.write(0, 0x0c);
    expect(pic.read(0)).toBe(0x82);
    pic.write(2, 0x0c);
    expect(pic.read(2)).toBe(0x82);
    expect([isr(pic, 0), isr(pic, 2)]).toEqual([0x04, 0x04]);
  });
});

test("a 16-bit access reaches both ports of a chip", async () => {
  const pic = await openInitialized();
  pic.write(0, 0xab0b, 2);
  expect(pic.read(0, 2)).toBe(0xab00);
  expect(pic.read(4, 2)).toBe(0x0000);
  expect(pic.read(1, 2)).toBe(0xffab);
});

test("random accesses", async () => {
  const pic = await openInitialized();
  fuzz(pic, [0, 1, 2, 3, 4, 5], 20000, (random) => {
    pin(pic, random(16), random(2) === 1);
    if (random(3) === 0) expect(acknowledge(pic)).toBeLessThan(256);
  });
});
