import { beforeEach, describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "../harness.ts";
import { Random } from "../random.ts";

const NONE = 0xffff_ffff_ffff_ffffn;
const MIB = 1n << 20n;
let kernel: KernelModule["exports"];

beforeEach(async () => {
  ({ exports: kernel } = await loadKernel(["kernel/mm/frames.ts"]));
});

const call = (name: string, ...args: bigint[]) =>
  BigInt.asUintN(64, (kernel[name] as (...a: bigint[]) => bigint)(...args) ?? 0n);

describe("the frame allocator", () => {
  test("leaves the first MiB and partial frames alone", () => {
    call("framesAdd", 0n, 2n * MIB + 100n);
    expect(call("framesFree")).toBe(MIB);
    expect(call("frameAlloc", 1n, 4096n)).toBe(MIB);
  });

  test("aligns, and says so when memory does not suffice", () => {
    call("framesAdd", MIB, 7n * MIB);
    expect(call("frameAlloc", 512n, 2n * MIB)).toBe(2n * MIB);
    expect(call("frameAlloc", 1024n, 4n * MIB)).toBe(4n * MIB);
    expect(call("frameAlloc", 512n, 4096n)).toBe(NONE);
    expect(call("framesLargest")).toBe(MIB);
  });

  test("never hands out what is reserved, wherever the reservation lies", () => {
    call("framesAdd", 4n * MIB, 4n * MIB);
    call("framesReserve", 3n * MIB, MIB + 1n);
    call("framesReserve", 6n * MIB - 1n, 2n);
    call("framesReserve", 7n * MIB + 5n, 9n * MIB);
    expect(call("framesFree")).toBe(3n * MIB - 4096n * 3n);
    expect(call("frameAlloc", 1n, 4096n)).toBe(4n * MIB + 4096n);
  });

  test("joins what is freed with both neighbours", () => {
    call("framesAdd", MIB, 3n * 4096n);
    const [a, b, c] = [1, 2, 3].map(() => call("frameAlloc", 1n, 4096n)) as [bigint, bigint, bigint];
    expect(call("framesFree")).toBe(0n);
    for (const frame of [a, c, b]) call("frameFree", frame, 1n);
    expect(call("frameAlloc", 3n, 4096n)).toBe(MIB);
  });

  test("refuses to free twice", () => {
    call("framesAdd", MIB, 16n * 4096n);
    const frames = call("frameAlloc", 4n, 4096n);
    call("frameFree", frames, 4n);
    expect(() => call("frameFree", frames, 1n)).toThrow();
    expect(() => call("frameFree", frames + 3n * 4096n, 2n)).toThrow();
  });

  test("counts overlapping ranges of the loader's map once", () => {
    call("framesAdd", MIB, 2n * MIB);
    call("framesAdd", 2n * MIB, 2n * MIB);
    expect(call("framesFree")).toBe(3n * MIB);
  });

  test("survives the end of the address space", () => {
    call("framesAdd", NONE - 3n * 4096n + 1n, 100n * 4096n);
    expect(call("framesFree")).toBeLessThanOrEqual(3n * 4096n);
  });

  test("keeps its books under random allocation and freeing", () => {
    const random = new Random(7);
    call("framesAdd", MIB, 256n * 4096n);
    const held: { start: bigint; frames: bigint }[] = [];
    for (let i = 0; i < 2000; i++) {
      if (random.below(2) === 0 || held.length === 0) {
        const frames = BigInt(1 + random.below(8));
        const alignment = 4096n << BigInt(random.below(4));
        const start = call("frameAlloc", frames, alignment);
        if (start === NONE) continue;
        expect(start % alignment).toBe(0n);
        const end = start + frames * 4096n;
        expect(held.every((h) => end <= h.start || start >= h.start + h.frames * 4096n)).toBe(true);
        held.push({ start, frames });
      } else {
        const [{ start, frames }] = held.splice(random.below(held.length), 1) as [
          { start: bigint; frames: bigint },
        ];
        call("frameFree", start, frames);
      }
      const used = held.reduce((sum, h) => sum + h.frames, 0n);
      expect(call("framesFree")).toBe((256n - used) * 4096n);
    }
  });
});
