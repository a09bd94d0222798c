// The keyboard controller as Linux's i8042 driver and other systems' reset paths meet it.
import { describe, expect, test } from "vitest";
import { type Device, field, fuzz, loadWithFields, makeDevice } from "./device.js";

const [DATA, COMMAND, PORT_A] = [0, 4, 8] as const;

const open = async () => makeDevice(await loadWithFields("i8042", "I8042", ["resetRequested"]), "i8042");
const resetRequested = (kbc: Device) => field(kbc, "resetRequested") === 1;

/** i8042_command: write the command, its parameters, read the answer; undefined when none comes. */
function command(kbc: Device, code: number, ...parameters: number[]): number | undefined {
  expect(kbc.read(COMMAND) & 2).toBe(0); // input buffer empty
  kbc.write(COMMAND, code);
  for (const parameter of parameters) kbc.write(DATA, parameter);
  return (kbc.read(COMMAND) & 1) === 0 ? undefined : kbc.read(DATA);
}

describe("Linux's probe", () => {
  test("the buffer is empty, the self-test passes, the command byte reads back", async () => {
    const kbc = await open();
    expect(kbc.read(COMMAND)).toBe(0x14);
    expect(command(kbc, 0xaa)).toBe(0x55);
    const first = command(kbc, 0x20) as number;
    expect(command(kbc, 0x20)).toBe(first);
    expect(first & 0x10).toBe(0x10);
    command(kbc, 0x60, first & ~0x10);
    expect(command(kbc, 0x20)).toBe(first & ~0x10);
  });

  test("there is no auxiliary port: no loopback, the test fails", async () => {
    const kbc = await open();
    expect(command(kbc, 0xd3, 0x5a)).toBe(undefined);
    expect(command(kbc, 0xa9)).not.toBe(0);
    expect(command(kbc, 0xd4, 0xf2)).toBe(undefined);
  });

  test("nobody answers a keyboard command: RESEND with the time-out bit", async () => {
    const kbc = await open();
    expect(command(kbc, 0xab)).toBe(0);
    command(kbc, 0xae);
    kbc.write(DATA, 0xf2); // GETID
    expect(kbc.read(COMMAND) & 0x41).toBe(0x41);
    expect(kbc.read(DATA)).toBe(0xfe);
    expect(kbc.read(COMMAND) & 0x41).toBe(0);
  });

  test("clock lines switch by command; an echo through D2 interrupts when enabled", async () => {
    const kbc = await open();
    command(kbc, 0xae);
    command(kbc, 0xa8);
    expect((command(kbc, 0x20) as number) & 0x30).toBe(0);
    command(kbc, 0xad);
    command(kbc, 0xa7);
    expect((command(kbc, 0x20) as number) & 0x30).toBe(0x30);
    command(kbc, 0x60, 0x01);
    kbc.write(COMMAND, 0xd2);
    kbc.write(DATA, 0x77);
    expect(kbc.line).toBe(true);
    expect(kbc.read(DATA)).toBe(0x77);
    expect(kbc.line).toBe(false);
  });
});

describe("reset", () => {
  test.each([
    ["the pulse command of Linux's reboot=k", [[COMMAND, 0xfe]]],
    [
      "the output port",
      [
        [COMMAND, 0xd1],
        [DATA, 0xde],
      ],
    ],
    ["port A", [[PORT_A, 0x01]]],
  ] as const)("%s", async (_name, writes) => {
    const kbc = await open();
    expect(resetRequested(kbc)).toBe(false);
    for (const [port, value] of writes) kbc.write(port, value);
    expect(resetRequested(kbc)).toBe(true);
    kbc.call("Reset");
    expect(resetRequested(kbc)).toBe(false);
  });

  test("other pulses and output port writes do not reset", async () => {
    const kbc = await open();
    kbc.write(COMMAND, 0xff);
    command(kbc, 0xd1, 0xdf);
    kbc.write(PORT_A, 0x02);
    expect(resetRequested(kbc)).toBe(false);
  });
});

test("A20 is one gate behind three switches", async () => {
  const kbc = await open();
  expect(kbc.read(PORT_A)).toBe(2);
  command(kbc, 0xd1, 0xdd);
  expect(kbc.read(PORT_A)).toBe(0);
  expect((command(kbc, 0xd0) as number) & 2).toBe(0);
  kbc.write(PORT_A, 2);
  expect((command(kbc, 0xd0) as number) & 2).toBe(2);
});

test("controller memory keeps 32 bytes", async () => {
  const kbc = await open();
  for (let i = 1; i < 32; i++) command(kbc, 0x60 + i, 0x80 + i);
  for (let i = 1; i < 32; i++) expect(command(kbc, 0x20 + i)).toBe(0x80 + i);
});

test("random accesses", async () => {
  const kbc = await open();
  fuzz(kbc, [DATA, COMMAND, PORT_A, 1, 5], 20000, () => {});
});
