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

  /** Whether there is a `<prefix><name>`: not every device has a line, or a clock. */
  has(name: string): boolean {
    return `${this.prefix}${name}` in this.kernel.exports;
  }

  /** Calls `<prefix><name>(device, ...args)`. */
  call(name: string, ...args: Argument[]): number {
    return this.find(name)(this.pointer, ...args) as number;
  }

  /** The same for functions that return u64. */
  call64(name: string, ...args: Argument[]): bigint {
    return BigInt.asUintN(64, this.find(name)(this.pointer, ...args) as bigint);
  }

  private find(name: string): CallableFunction {
    const found = this.kernel.exports[`${this.prefix}${name}`];
    if (found === undefined) throw new Error(`${this.prefix}${name} is not exported`);
    return found;
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
    return this.has("Deadline") ? this.call64("Deadline", this.now) : NEVER;
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

/** Loads `kernel/devices/<file>.ts` and makes one device, reset. `resetArguments`: what its reset takes. */
export async function openDevice(
  file: string,
  prefix: string,
  ...resetArguments: Argument[]
): Promise<Device> {
  return makeDevice(await loadKernel([`kernel/devices/${file}.ts`]), prefix, ...resetArguments);
}

/** One more device of a loaded module, reset. */
export function makeDevice(kernel: KernelModule, prefix: string, ...resetArguments: Argument[]): Device {
  const device = new Device(kernel, prefix, kernel.exports[`${prefix}New`]?.() as number);
  device.call("Reset", ...resetArguments);
  return device;
}

/**
 * Loads a device together with accessors for fields that the platform reads from its class `type`: what
 * leaves a device other than through its registers.
 */
export async function loadWithFields(file: string, type: string, fields: string[]): Promise<KernelModule> {
  const accessors = fields.map(
    (name) => `export function ${name}(d: ${type}): u32 { return <u32>d.${name}; }`,
  );
  const glue = `import { ${type} } from "./kernel/devices/${file}";\n${accessors.join("\n")}`;
  return loadKernel([`kernel/devices/${file}.ts`], glue);
}

/** Value of such a field. */
export function field(device: Device, name: string): number {
  return (device.kernel.exports[name]?.(device.pointer) as number) >>> 0;
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
    if (device.has("Line")) expect([0, 1]).toContain(device.call("Line", device.now));
    const deadline = device.deadline;
    if (deadline !== NEVER && random(4) === 0) {
      if (deadline > device.now && deadline - device.now < 3600n * SECOND) device.now = deadline;
      device.call("Advance", device.now);
      if (deadline <= device.now) expect(device.deadline).toBeGreaterThan(device.now);
    } else device.now += BigInt(random(2_000_000));
  }
}
