// The 16550A against National's data sheet and the access sequences of Linux's 8250 driver.
import { describe, expect, test } from "vitest";
import { type Device, fuzz, NEVER, openDevice } from "./device.js";

const [DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 2, 3, 4, 5, 6, 7] as const;
const FIFO_ON = 0x01;
const TRIGGER_14 = 0xc0;

const open = () => openDevice("uart16550", "uart16550");
const receive = (uart: Device, byte: number) => uart.call("Receive", byte, uart.now) === 1;
function takeAll(uart: Device): string {
  let text = "";
  while (uart.call("OutputCount") > 0) text += String.fromCharCode(uart.call("OutputTake"));
  return text;
}

/** 8N1 at 115200, FIFOs on with trigger 14, DTR RTS OUT2, as Linux's startup leaves it. */
function start(uart: Device): void {
  uart.write(LCR, 0x83);
  uart.write(DATA, 1);
  uart.write(IER, 0);
  uart.write(LCR, 0x03);
  uart.write(FCR, FIFO_ON | TRIGGER_14);
  uart.write(MCR, 0x0b);
}

describe("probing, as Linux's 8250 autoconfiguration does it", () => {
  test("reset values", async () => {
    const uart = await open();
    expect([IER, IIR, LCR, MCR, LSR].map((r) => uart.read(r))).toEqual([0x00, 0x01, 0x00, 0x00, 0x60]);
    expect(uart.line).toBe(false);
    expect(uart.deadline).toBe(NEVER);
  });

  test("the interrupt enable register holds four bits", async () => {
    const uart = await open();
    uart.write(IER, 0);
    expect(uart.read(IER) & 0x0f).toBe(0);
    uart.write(IER, 0xff);
    expect(uart.read(IER)).toBe(0x0f);
  });

  test("loopback feeds RTS and OUT2 back as CTS and DCD", async () => {
    const uart = await open();
    uart.write(MCR, 0x10 | 0x0a);
    expect(uart.read(MSR) & 0xf0).toBe(0x90);
    uart.write(MCR, 0x10 | 0x05);
    expect(uart.read(MSR) & 0xf0).toBe(0x60);
  });

  test("is a 16550A and none of its relatives", async () => {
    const uart = await open();
    uart.write(LCR, 0xbf);
    uart.write(2, 0); // would be EFR
    uart.write(LCR, 0);
    uart.write(FCR, FIFO_ON);
    expect(uart.read(IIR) >> 6).toBe(3);
    uart.write(LCR, 0x80);
    expect(uart.read(2)).not.toBe(0);
    uart.write(LCR, 0);
    uart.write(FCR, FIFO_ON | 0x20);
    expect(uart.read(IIR) & 0xe0).toBe(0xc0);
    uart.write(IER, 0x40);
    expect(uart.read(IER) & 0x40).toBe(0);
  });

  test("FIFO size counted through loopback is 16, and the seventeenth byte overruns", async () => {
    const uart = await open();
    start(uart);
    uart.write(MCR, 0x10);
    for (let i = 0; i < 256; i++) uart.write(DATA, i);
    const got: number[] = [];
    expect(uart.read(LSR) & 0x02).toBe(0x02);
    while ((uart.read(LSR) & 1) !== 0) got.push(uart.read(DATA));
    expect(got).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect(uart.call("OutputCount")).toBe(0);
  });

  test("the divisor latch hides behind DLAB and keeps 16 bits; scratch keeps its byte", async () => {
    const uart = await open();
    uart.write(SCR, 0xa5);
    uart.write(LCR, 0x80);
    uart.write(DATA, 0x34);
    uart.write(IER, 0x12);
    expect([uart.read(DATA), uart.read(IER)]).toEqual([0x34, 0x12]);
    uart.write(LCR, 0x03);
    expect(uart.read(IER)).toBe(0);
    expect(uart.read(SCR)).toBe(0xa5);
  });

  test("enabling the transmitter interrupt twice raises it twice (no THRE bug, no TXEN bug)", async () => {
    const uart = await open();
    start(uart);
    for (let i = 0; i < 2; i++) {
      uart.write(IER, 0x02);
      expect(uart.read(IIR) & 0x0f).toBe(0x02);
      expect(uart.read(IIR) & 0x0f).toBe(0x01);
      uart.write(IER, 0);
    }
  });
});

describe("transmitter", () => {
  test("bytes come out in order and each write raises the interrupt again", async () => {
    const uart = await open();
    start(uart);
    uart.write(IER, 0x02);
    expect(uart.line).toBe(true);
    uart.read(IIR);
    expect(uart.line).toBe(false);
    for (const c of "hello") uart.write(DATA, c.charCodeAt(0));
    expect(uart.line).toBe(true);
    expect(uart.read(LSR) & 0x60).toBe(0x20); // register empty, but not everything has left
    expect(takeAll(uart)).toBe("hello");
    expect(uart.read(LSR) & 0x60).toBe(0x60);
  });

  test("a driver that sends 16 bytes on each THRE loses none, however slow the drain", async () => {
    const uart = await open();
    start(uart);
    uart.write(IER, 0x02);
    let [sent, received] = ["", ""];
    for (let round = 0; round < 2000; round++) {
      if ((uart.read(LSR) & 0x20) !== 0) {
        for (let i = 0; i < 16; i++) {
          const c = 32 + ((round * 16 + i) % 90);
          sent += String.fromCharCode(c);
          uart.write(DATA, c);
        }
      }
      for (let i = 0; i < 3 && uart.call("OutputCount") > 0; i++)
        received += String.fromCharCode(uart.call("OutputTake"));
    }
    expect(sent.length).toBeLessThan(32000); // it was made to wait
    expect(received + takeAll(uart)).toBe(sent);
  });

  test("a full ring takes THRE and its interrupt away; draining brings both back", async () => {
    const uart = await open();
    start(uart);
    uart.write(IER, 0x02);
    while ((uart.read(LSR) & 0x20) !== 0) uart.write(DATA, 0x2e);
    expect(uart.read(IIR) & 0x0f).toBe(0x01);
    expect(uart.line).toBe(false);
    uart.call("OutputTake");
    expect(uart.line).toBe(true);
    expect(uart.read(IIR) & 0x0f).toBe(0x02);
  });
});

describe("receiver", () => {
  test("without FIFOs it holds one byte", async () => {
    const uart = await open();
    uart.write(LCR, 0x03);
    uart.write(MCR, 0x08);
    uart.write(IER, 0x01);
    expect(receive(uart, 0x41)).toBe(true);
    expect(receive(uart, 0x42)).toBe(false);
    expect(uart.line).toBe(true);
    expect(uart.read(IIR)).toBe(0x04);
    expect(uart.read(DATA)).toBe(0x41);
    expect(uart.line).toBe(false);
    expect(uart.read(LSR) & 0x03).toBe(0);
  });

  test.each([
    [0x00, 1],
    [0x40, 4],
    [0x80, 8],
    [0xc0, 14],
  ])("FCR %i interrupts at level %i", async (bits, level) => {
    const uart = await open();
    start(uart);
    uart.write(FCR, FIFO_ON | bits);
    uart.write(IER, 0x01);
    for (let i = 1; i < level; i++) {
      receive(uart, i);
      expect(uart.line).toBe(false);
    }
    receive(uart, level);
    expect(uart.read(IIR)).toBe(0xc4);
    uart.read(DATA);
    expect(uart.line).toBe(false);
  });

  test("sixteen bytes fit, then the line has to wait", async () => {
    const uart = await open();
    start(uart);
    for (let i = 0; i < 16; i++) expect(receive(uart, i)).toBe(true);
    expect(receive(uart, 16)).toBe(false);
    expect(uart.read(LSR) & 0x03).toBe(0x01); // no overrun
    uart.read(DATA);
    expect(receive(uart, 16)).toBe(true);
  });

  test("below the trigger, four characters of silence interrupt as a timeout", async () => {
    const uart = await open();
    start(uart);
    uart.write(IER, 0x01);
    receive(uart, 0x61);
    const silence = (4n * 10n * 1_000_000_000n) / 115200n; // 8N1: ten bits a character
    expect(uart.deadline).toBe(silence);
    uart.pass(silence - 1n);
    expect(uart.line).toBe(false);
    uart.pass(1n);
    expect(uart.line).toBe(true);
    expect(uart.read(IIR)).toBe(0xcc);
    expect(uart.read(DATA)).toBe(0x61);
    expect(uart.line).toBe(false);
    expect(uart.deadline).toBe(NEVER);
  });

  test("a new character restarts the silence", async () => {
    const uart = await open();
    start(uart);
    uart.write(IER, 0x01);
    receive(uart, 1);
    uart.pass(300_000n);
    receive(uart, 2);
    uart.pass(300_000n);
    expect(uart.line).toBe(false);
    uart.pass(50_000n);
    expect(uart.line).toBe(true);
  });

  test("resetting the receiver FIFO empties it; turning FIFOs off empties it", async () => {
    const uart = await open();
    start(uart);
    receive(uart, 1);
    uart.write(FCR, FIFO_ON | 0x02);
    expect(uart.read(LSR) & 1).toBe(0);
    receive(uart, 1);
    uart.write(FCR, 0);
    expect(uart.read(LSR) & 1).toBe(0);
    expect(uart.read(IIR)).toBe(0x01);
  });
});

describe("interrupts", () => {
  test("priorities: line status, data, transmitter, modem", async () => {
    const uart = await open();
    start(uart);
    uart.read(MSR);
    uart.write(FCR, 0);
    uart.write(IER, 0x0f);
    uart.write(MCR, 0x1b); // into loopback and back: the modem inputs change
    uart.write(MCR, 0x0b);
    uart.write(MCR, 0x18);
    uart.write(MCR, 0x1b);
    for (const byte of [1, 2]) uart.write(DATA, byte); // one too many
    uart.write(MCR, 0x0b);
    const seen: number[] = [];
    seen.push(uart.read(IIR));
    uart.read(LSR);
    seen.push(uart.read(IIR));
    uart.read(DATA);
    seen.push(uart.read(IIR));
    seen.push(uart.read(IIR));
    expect(uart.read(MSR) & 0x0f).not.toBe(0);
    seen.push(uart.read(IIR));
    expect(seen).toEqual([0x06, 0x04, 0x02, 0x00, 0x01]);
  });

  test("OUT2 gates the line, as the PC is wired", async () => {
    const uart = await open();
    start(uart);
    uart.write(IER, 0x02);
    expect(uart.line).toBe(true);
    uart.write(MCR, 0x03);
    expect(uart.line).toBe(false);
    expect(uart.read(IIR) & 0x0f).toBe(0x02);
  });
});

test("a 16-bit access reaches two registers; past the last one it reads ones", async () => {
  const uart = await open();
  uart.write(LCR, 0x80);
  uart.write(DATA, 0x0102, 2);
  expect(uart.read(DATA, 2)).toBe(0x0102);
  uart.write(SCR, 0x77);
  expect(uart.read(SCR, 2)).toBe(0xff77);
});

test("random accesses", async () => {
  const uart = await open();
  fuzz(uart, [0, 1, 2, 3, 4, 5, 6, 7], 20000, (random) => {
    if (random(3) === 0) receive(uart, random(256));
    if (uart.call("OutputCount") > 0 && random(2) === 0) uart.call("OutputTake");
  });
});
