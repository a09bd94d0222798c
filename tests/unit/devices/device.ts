// A device model of kernel/devices, compiled and alone: its registers as a guest driver meets them, and its
// clock.
import { expect } from "vitest";
import { type KernelModule, loadKernel } from "../harness.js";

export const NEVER = 2n ** 64n - 1n;
export const MICROSECOND = 1_000n;
export const MILLISECOND = 1_000_000n;
export const SECOND = 1_000_000_000n;

/**
 * Exported functions take pointers, numbers and BigInts alike; results are made unsigned by the callers
 * below.
 */
type Argument = number | bigint;

export class Device {
  /** VM time handed to every access, ns. */
  now = 0n;

  constructor(
    readonly kernel: KernelModule,
    readonly prefix: string,
    readonly pointer: number,
  ) {}

  /** Calls `<prefix><name>(device, ...args)`. */
  call(name: string, ...args: Argument[]): number {
    return this.kernel.exports[`${this.prefix}${name}`]?.(this.pointer, ...args) as number;
  }

  /** The same for functions that return u64. */
  call64(name: string, ...args: Argument[]): bigint {
    return BigInt.asUintN(
      64,
      this.kernel.exports[`${this.prefix}${name}`]?.(this.pointer, ...args) as bigint,
    );
  }

  read(offset: number, size = 1): number {
    const value = this.call("Read", offset, size, this.now) >>> 0;
    return size === 4 ? value : value & (2 ** (8 * size) - 1);
  }

  write(offset: number, value: number, size = 1): void {
    this.call("Write", offset, size, value, this.now);
  }

  get line(): boolean {
    return this.call("Line", this.now) !== 0;
  }

  /** Next event, VM time in ns, or NEVER. */
  get deadline(): bigint {
    return this.call64("Deadline", this.now);
  }

  /** Lets `ns` of VM time pass, stopping at each deadline on the way as the run loop does. */
  pass(ns: bigint): void {
    const end = this.now + ns;
    for (let next = this.deadline; next <= end; next = this.deadline) {
      if (next > this.now) this.now = next;
      this.call("Advance", this.now);
      expect(this.deadline, "a deadline that does not move on").toBeGreaterThan(this.now);
    }
    this.now = end;
    this.call("Advance", this.now);
  }
}

/**
 * Loads `kernel/devices/<file>.ts` and makes one device, reset. `arguments_`: what its reset function takes.
 */
export async function openDevice(
  file: string,
  prefix: string,
  ...resetArguments: Argument[]
): Promise<Device> {
  const kernel = await loadKernel([`kernel/devices/${file}.ts`]);
  const device = new Device(kernel, prefix, kernel.exports[`${prefix}New`]?.() as number);
  device.call("Reset", ...resetArguments);
  return device;
}

/** Repeatable pseudo-random numbers below `bound` (xorshift32). */
export function randomNumbers(seed: number): (bound: number) => number {
  let state = seed >>> 0 || 1;
  return (bound) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % bound;
  };
}

/**
 * Random accesses at `offsets`, of every size, with time passing: nothing traps, the line is always a
 * boolean, a deadline is never in the past after advancing to it. `extra` runs between accesses (pins,
 * input). Lasts `steps` accesses.
 */
export function fuzz(
  device: Device,
  offsets: number[],
  steps: number,
  extra: (random: (n: number) => number) => void,
): void {
  const random = randomNumbers(0x5eed);
  for (let i = 0; i < steps; i++) {
    const offset = offsets[random(offsets.length)] as number;
    const size = [1, 1, 2, 4][random(4)] as number;
    const interesting = [0, 0xff, 0xffffffff, random(256), random(0x10000), random(0x7fffffff)];
    if (random(3) === 0) device.read(offset, size);
    else device.write(offset, interesting[random(interesting.length)] as number, size);
    extra(random);
    expect([0, 1]).toContain(device.call("Line", device.now));
    const deadline = device.deadline;
    if (deadline !== NEVER && random(4) === 0) {
      if (deadline > device.now && deadline - device.now < 3600n * SECOND) device.now = deadline;
      device.call("Advance", device.now);
      if (deadline <= device.now) expect(device.deadline).toBeGreaterThan(device.now);
    } else device.now += BigInt(random(2_000_000));
  }
}
