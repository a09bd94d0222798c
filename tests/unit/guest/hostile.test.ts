// A guest that writes anything anywhere: whatever it does to ports, device memory and MSRs, in whatever order and at whatever
// time, no assertion of ours fails.
import { expect, test } from "vitest";
import { Random } from "../random.ts";
import { Pc } from "./pc.ts";

const OPERATIONS = 60_000;
/** Ports of the platform's devices: first, and how many. Not those that end the VM: reset, power-off, panic, debug exit. */
const PORTS: [number, number][] = [
  [0x20, 2],
  [0xa0, 2],
  [0x4d0, 2],
  [0x40, 4],
  [0x60, 5],
  [0x70, 2],
  [0x80, 1],
  [0xb2, 1],
  [0x3f8, 8],
  [0x600, 16],
  [0xcf8, 8],
];
const MEMORY: [number, number][] = [
  [0xfec00000, 0x60],
  [0xfed00000, 0x180],
  [0xfee00000, 0x400],
  [0xe0000000, 0x1000],
];
const MSRS = [0x1b, 0x6e0, 0x10, 0x3b, 0x1a0, 0x277, 0x2ff, 0x4b564d00, 0x4b564d01, 0xc0000080, 0xc0000103];
const SIZES = [1, 1, 1, 2, 4];

function value(random: Random): number {
  const wide = Number(random.wide() & 0xffffffffn);
  return random.pick([wide, wide & 0xff, wide & 0xff, 1 << (wide & 31), 0, 0xffffffff]) >>> 0;
}

function operate(pc: Pc, random: Random): string {
  const kind = random.below(10);
  if (kind < 4) {
    const [first, count] = random.pick(PORTS);
    const [port, size, written] = [first + random.below(count), random.pick(SIZES), value(random)];
    if (kind === 0) pc.in(port, size);
    else pc.out(port, size === 4 ? written : written & (2 ** (8 * size) - 1), size);
    return `port ${port.toString(16)} ${size} ${kind === 0 ? "in" : written.toString(16)}`;
  }
  if (kind < 7) {
    const [base, bytes] = random.pick(MEMORY);
    const [at, written] = [base + (random.below(bytes) & (random.below(4) === 0 ? ~0 : ~15)), value(random)];
    const size = random.pick([4, 4, 4, 1, 2, 8]);
    if (kind === 4) pc.mmioRead(at, size);
    else pc.mmioWrite(at, written, size);
    return `memory ${at.toString(16)} ${size} ${kind === 4 ? "read" : written.toString(16)}`;
  }
  if (kind === 7) {
    const msr = random.below(3) === 0 ? random.pick(MSRS) : 0x800 + random.below(0x40);
    const written = random.pick([random.wide(), BigInt(value(random)), 0n]);
    pc.wrmsr(msr, written);
    return `msr ${msr.toString(16)} ${written.toString(16)}`;
  }
  if (kind === 8) {
    pc.advance(random.pick([0, 1, 999, 100_000, 5_000_000]));
    return "time";
  }
  if (random.below(2) === 0) pc.call("input", 0, random.below(256));
  else if (pc.pending() >= 0) pc.acknowledge();
  pc.console();
  return "outside";
}

test.each([1, 2, 3, 4])(
  "seed %i",
  async (seed) => {
    const random = new Random(seed);
    const pc = await Pc.running();
    const last: string[] = [];
    for (let n = 0; n < OPERATIONS; n++) {
      try {
        last.push(operate(pc, random));
      } catch (error) {
        expect.fail(`${(error as Error).message} after\n${last.slice(-8).join("\n")}`);
      }
    }
  },
  120_000,
);
