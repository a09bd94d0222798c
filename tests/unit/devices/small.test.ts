// The devices of one or two ports: debug exit, pvpanic, reset control, and the ports that
// nobody minds.
import { expect, test } from "vitest";
import { loadKernel } from "../harness.js";
import { field, fuzz, loadWithFields, makeDevice } from "./device.js";

/** Opens a device, and the value of one of its fields. */
async function open(file: string, prefix: string, type: string, name: string) {
  const device = makeDevice(await loadWithFields(file, type, [name]), prefix);
  return { device, value: () => field(device, name) };
}

test("debug exit: the first value counts", async () => {
  const { device, value } = await open("debugexit", "debugExit", "DebugExit", "value");
  expect(device.read(0, 4)).toBe(0);
  device.write(0, 0xdeadbeef, 4);
  device.write(0, 1, 1);
  expect(value()).toBe(0xdeadbeef);
  const { device: other, value: requested } = await open("debugexit", "debugExit", "DebugExit", "requested");
  expect(requested()).toBe(0);
  other.write(0, 0, 1);
  expect(requested()).toBe(1);
});

test("pvpanic: says which events it knows, remembers those reported", async () => {
  const { device, value: events } = await open("pvpanic", "pvpanic", "Pvpanic", "events");
  expect(device.read(0)).toBe(3);
  expect(device.read(0, 2)).toBe(0xff03);
  device.write(0, 0xfc);
  expect(events()).toBe(0);
  device.write(0, 1);
  expect(events()).toBe(1);
  device.call("Reset");
  expect(events()).toBe(0);
});

test("reset control: Linux's two writes of reboot=p, and the FADT's one", async () => {
  for (const writes of [[0x02, 0x06], [0x0a, 0x0e], [0x06]]) {
    const { device, value: requested } = await open(
      "reset_control",
      "resetControl",
      "ResetControl",
      "resetRequested",
    );
    for (const value of writes.slice(0, -1)) {
      device.write(0, value);
      expect(device.read(0)).toBe(value);
    }
    expect(requested()).toBe(0);
    device.write(0, writes.at(-1) as number);
    expect(requested()).toBe(1);
    expect(device.read(0) & 4).toBe(0);
  }
});

test("ignored ports: disjoint ranges, with POST codes among them", async () => {
  const { exports } = await loadKernel(["kernel/devices/ignored_ports.ts"]);
  const seen = new Set<number>();
  for (let i = 0; i < (exports.ignoredRangeCount?.() as number); i++) {
    const first = exports.ignoredRangeFirst?.(i) as number;
    for (let port = first; port < first + (exports.ignoredRangePorts?.(i) as number); port++) {
      expect(seen.has(port)).toBe(false);
      seen.add(port);
    }
  }
  expect(seen.has(0x80)).toBe(true);
});

test.each([
  ["debugexit", "debugExit", "DebugExit", "value"],
  ["pvpanic", "pvpanic", "Pvpanic", "events"],
  ["reset_control", "resetControl", "ResetControl", "value"],
])("random accesses: %s", async (file, prefix, type, name) => {
  const { device } = await open(file, prefix, type, name);
  fuzz(device, [0, 1, 3], 2000, () => {});
});

test("test device: its register and its memory keep bytes at any width", async () => {
  const device = makeDevice(await loadWithFields("testdev", "Testdev", ["levels"]), "testdev");
  device.write(0, 0x44332211, 4);
  expect([0, 1, 2, 3].map((offset) => device.read(offset))).toEqual([0x11, 0x22, 0x33, 0x44]);
  device.write(1, 0xbbaa, 2);
  expect(device.read(0, 4)).toBe(0x44bbaa11);
  device.write(10, 0x77, 1);
  expect(device.read(8, 4)).toBe(0x4477aa11);
  expect(device.read(0, 4)).toBe(0x4477aa11);
  device.write(4, 0, 4);
  expect(device.read(4, 4)).toBe(0xffffffff);
  expect(device.read(2, 4)).toBe(0xffff4477);
  expect(device.read(0, 4)).toBe(0x4477aa11);

  for (const [offset, size, value] of [
    [0, 1, 0xab],
    [0x1001, 2, 0xbeef],
    [0xfffc, 4, 0xdeadbeef],
  ] as const) {
    device.call("MemoryWrite", offset, size, value);
    expect(device.call("MemoryRead", offset, size) >>> 0).toBe(value);
  }
  expect(device.call("MemoryRead", 0x1000, 4) >>> 0).toBe(0x00beef00);
  expect(() => device.call("MemoryRead", 0xfffd, 4)).toThrow();
  expect(device.call("SetLevel", 23, 1)).toBe(1);
  expect(device.call("SetLevel", 23, 1)).toBe(0);
  expect(device.call("SetLevel", 22, 0)).toBe(0);
  device.call("Reset");
  expect(device.call("SetLevel", 23, 0)).toBe(0);
  expect(device.read(0, 4)).toBe(0);
  expect(device.call("MemoryRead", 0xfffc, 4)).toBe(0);
});
