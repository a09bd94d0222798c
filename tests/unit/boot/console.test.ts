import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "../harness.ts";

const DATA = 0x3f8;
const INTERRUPT_ENABLE = 0x3f9;
const LINE_STATUS = 0x3fd;
const FIFO_BYTES = 16;
const RING_BYTES = 8192;

/** A 16550 of the computer: what was sent, what waits to be read, and whether its transmitter is ready. */
class Port {
  sent = "";
  waiting: number[] = [];
  ready = true;
  room = FIFO_BYTES;
  interrupts = 0;

  read(port: number): number {
    if (port === LINE_STATUS) return (this.waiting.length > 0 ? 1 : 0) | (this.ready ? 0x20 : 0);
    if (port === DATA) return this.waiting.shift() as number;
    return 0;
  }

  write(port: number, value: number): void {
    if (port === INTERRUPT_ENABLE) this.interrupts = value;
    if (port !== DATA) return;
    if (--this.room < 0) throw new Error("the transmitter's FIFO overflowed");
    this.sent += String.fromCharCode(value);
    this.ready = false;
  }

  /** The FIFO has been sent. */
  empty(): void {
    this.ready = true;
    this.room = FIFO_BYTES;
  }
}

let kernel: KernelModule["exports"];
let port: Port;

beforeEach(async () => {
  const module = await loadKernel(["kernel/drivers/console.ts"]);
  port = new Port();
  module.cpu.portIn = (at) => port.read(at);
  module.cpu.portOut = (at, _size, value) => port.write(at, value);
  kernel = module.exports;
  kernel.consoleStart!();
});

const send = (text: string) => [...text].map((c) => kernel.consoleTransmit!(c.charCodeAt(0)) as number);

function receiveAll(): string {
  let text = "";
  for (let byte = kernel.consoleReceive!() as number; byte >= 0; byte = kernel.consoleReceive!() as number)
    text += String.fromCharCode(byte);
  return text;
}

describe("the console driver", () => {
  test("sends at once while the port takes it, and never more than its FIFO holds", () => {
    send("0123456789abcdefXYZ");
    expect(port.sent).toBe("0123456789abcdef");
    expect(port.interrupts & 2).toBe(2);
    port.empty();
    kernel.consoleInterrupt!();
    expect(port.sent).toBe("0123456789abcdefXYZ");
    expect(port.interrupts & 2).toBe(0);
  });

  test("keeps the order of bytes through a flood, and says when it is full", () => {
    const flood = Array.from({ length: FIFO_BYTES + RING_BYTES }, (_, i) =>
      String.fromCharCode(33 + (i % 90)),
    ).join("");
    expect(send(flood).every((taken) => taken === 1)).toBe(true);
    expect(kernel.consoleHasRoom!()).toBe(0);
    expect(send("!")).toEqual([0]);
    while (port.sent.length < flood.length) {
      port.empty();
      kernel.consoleInterrupt!();
    }
    expect(port.sent).toBe(flood);
    expect(kernel.consoleHasRoom!()).toBe(1);
  });

  test("loses nothing of a paste that is longer than its ring", () => {
    const paste = Array.from({ length: RING_BYTES + 100 }, (_, i) => 32 + (i % 95));
    port.waiting = [...paste];
    kernel.consoleInterrupt!();
    expect(port.waiting).toHaveLength(100);
    expect(receiveAll()).toBe(String.fromCharCode(...paste));
    expect(kernel.consoleReceive!()).toBe(-1);
  });

  test("sends the rest by polling before the machine stops", () => {
    send("0123456789abcdef and the rest");
    const write = port.write.bind(port);
    port.write = (at, value) => {
      write(at, value);
      if (at === DATA && port.room === 0) port.empty();
    };
    port.empty();
    kernel.consoleDrain!();
    expect(port.sent).toBe("0123456789abcdef and the rest");
  });
});
