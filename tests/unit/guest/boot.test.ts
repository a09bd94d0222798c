import { describe, expect, test } from "vitest";
import { Random } from "../random.ts";
import { BZIMAGE, bzimage, elf, load, multibootHeader, pvhNote } from "./kernels.ts";
import { haltKernel, Pc, type PcOptions } from "./pc.ts";

const MIB = 1 << 20;
const CS = 1;
const DS = 3;
const TR = 7;

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 13 + 5) & 0xff);
}

async function boot(kernel: Uint8Array, options: PcOptions & { append?: string; initrd?: Uint8Array } = {}) {
  const modules = [
    { text: `vm0.kernel ${options.append ?? ""}`.trimEnd(), contents: kernel },
    ...(options.modules ?? []),
  ];
  if (options.initrd) modules.push({ text: "vm0.initrd", contents: options.initrd });
  const pc = await Pc.create({ line: "vm0.memory=8M", ...options, modules });
  expect(pc.call("describe"), pc.log()).toBe(1);
  return { pc, good: pc.call("build", 0, 0n) === 1 };
}

const ascii = (pc: Pc, at: number) => {
  const bytes = pc.read(BigInt(at), 2048);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
};

describe("bzImage", () => {
  test("kernel, initrd, command line and zero page are where the protocol wants them", async () => {
    const image = bzimage();
    const initrd = pattern(5000);
    const { pc, good } = await boot(image, { append: "console=ttyS0 quiet", initrd });
    expect(good, pc.log()).toBe(true);
    expect(pc.read(0x100000n, 4096)).toEqual(image.subarray(1536));
    const zero = Number(pc.vcpu.get("rsi"));
    const page = pc.view(BigInt(zero), 4096);
    const ramdisk = page.getUint32(BZIMAGE.ramdiskImage, true);
    expect(page.getUint32(BZIMAGE.ramdiskSize, true)).toBe(5000);
    expect(ramdisk % 4096).toBe(0);
    expect(ramdisk + 5000).toBeGreaterThan(8 * MIB - 8192);
    expect(pc.read(BigInt(ramdisk), 5000)).toEqual(initrd);
    expect(ascii(pc, page.getUint32(BZIMAGE.cmdLine, true))).toBe("console=ttyS0 quiet");
    expect(page.getUint8(BZIMAGE.typeOfLoader)).toBe(0xff);
    expect(page.getUint32(BZIMAGE.magic, true)).toBe(0x53726448);
    expect(page.getBigUint64(0x70, true)).toBe(pc.call("rsdp", 0));
  });

  test("the boot CPU is in 64-bit mode with an identity map and flat segments, interrupts off", async () => {
    const { pc } = await boot(bzimage());
    const { vcpu } = pc;
    expect(vcpu.get("rip")).toBe(0x100200n);
    expect(vcpu.get("rflags") & 0x200n).toBe(0n);
    expect(vcpu.get("cr0") & 0x80000001n).toBe(0x80000001n);
    expect(vcpu.get("cr4") & 0x20n).toBe(0x20n);
    expect(vcpu.get("efer") & 0x500n).toBe(0x500n);
    expect(vcpu.segment(CS)).toMatchObject({ selector: 0x10, base: 0n, access: 0xa09b });
    expect(vcpu.segment(DS)).toMatchObject({ selector: 0x18, base: 0n, limit: 0xffffffff });
    for (const address of [0n, 0x100200n, 0xfee00020n, 0xc0123456n])
      expect(translate(pc, address)).toBe(address);
    const gdt = vcpu.get("gdtrBase");
    expect(pc.view(gdt + 0x10n, 8).getBigUint64(0, true)).toBe(0x00af9b000000ffffn);
    expect(pc.view(gdt + 0x18n, 8).getBigUint64(0, true)).toBe(0x00cf93000000ffffn);
  });

  test("a kernel whose preferred address is not RAM moves if it may", async () => {
    const { pc, good } = await boot(bzimage({ prefAddress: 0x1000000 }));
    expect(good, pc.log()).toBe(true);
    expect(pc.vcpu.get("rip")).toBe(0x200200n);
    const fixed = await boot(bzimage({ prefAddress: 0x1000000, relocatable: 0 }));
    expect(fixed.good).toBe(false);
    expect(fixed.pc.log()).toMatch(/needs .* at address 0x1000000/);
  });

  test("the initrd stays below the highest address that the kernel takes", async () => {
    const { pc } = await boot(bzimage({ initrdMax: 0x3fffff }), { initrd: pattern(100) });
    const page = pc.view(pc.vcpu.get("rsi"), 4096);
    expect(page.getUint32(BZIMAGE.ramdiskImage, true)).toBe(0x3ff000);
  });

  test("a kernel without a 64-bit entry is entered in 32-bit protected mode, paging off", async () => {
    const image = bzimage();
    new DataView(image.buffer).setUint16(BZIMAGE.xloadflags, 0, true);
    const { pc, good } = await boot(image, { append: "quiet", initrd: pattern(100) });
    expect(good, pc.log()).toBe(true);
    const { vcpu } = pc;
    expect(vcpu.get("rip")).toBe(0x100000n);
    expect(vcpu.get("cr0") & 0x80000001n).toBe(1n);
    expect(vcpu.get("cr4")).toBe(0n);
    expect(vcpu.get("efer")).toBe(0n);
    expect(vcpu.get("rflags") & 0x200n).toBe(0n);
    for (const zero of ["rbp", "rdi", "rbx"] as const) expect(vcpu.get(zero)).toBe(0n);
    expect(vcpu.segment(CS)).toMatchObject({ selector: 0x10, base: 0n, limit: 0xffffffff, access: 0xc09b });
    expect(vcpu.segment(DS)).toMatchObject({ selector: 0x18, base: 0n, limit: 0xffffffff, access: 0xc093 });
    const page = pc.view(vcpu.get("rsi"), 4096);
    expect(page.getUint32(BZIMAGE.magic, true)).toBe(0x53726448);
    expect(page.getUint32(BZIMAGE.ramdiskSize, true)).toBe(100);
    expect(ascii(pc, page.getUint32(BZIMAGE.cmdLine, true))).toBe("quiet");
  });

  test("fields that an old protocol does not have are not read", async () => {
    const image = bzimage({ prefAddress: 0x700000, initSize: 0xffffffff, initrdMax: 0x2fffff });
    const view = new DataView(image.buffer);
    view.setUint16(BZIMAGE.version, 0x0202, true);
    view.setUint32(BZIMAGE.cmdlineSize, 3, true);
    const { pc, good } = await boot(image, { append: "a=1234", initrd: pattern(100) });
    expect(good, pc.log()).toBe(true);
    expect(pc.vcpu.get("rip")).toBe(0x100000n);
    const page = pc.view(pc.vcpu.get("rsi"), 4096);
    expect(page.getUint32(BZIMAGE.ramdiskImage, true)).toBe(8 * MIB - 4096);
    const long = await boot(image, { append: "a".repeat(256) });
    expect(long.pc.log()).toMatch(/command line has 256 bytes, but this kernel takes 255/);
    const high = new Uint8Array(image);
    high.set([1], BZIMAGE.relocatable);
    const fixed = await boot(high, { line: "vm0.memory=1M" });
    expect(fixed.pc.log()).toMatch(/needs 16384 bytes at address 0x100000/);
  });

  test("the last unit of `syssize` may be begun only", async () => {
    const image = bzimage();
    const { pc, good } = await boot(image.subarray(0, image.length - 8));
    expect(good, pc.log()).toBe(true);
  });

  test("reboot loads it anew", async () => {
    const { pc } = await boot(bzimage());
    pc.cpu.store(pc.hpaOf(0x100000n), 8, 0n);
    pc.vcpu.set("rip", 1n);
    expect(pc.call("reset", 0)).toBe(1);
    expect(pc.vcpu.get("rip")).toBe(0x100200n);
    expect(pc.read(0x100000n, 8)).toEqual(bzimage().subarray(1536, 1544));
  });

  const broken: [string, (bytes: Uint8Array, view: DataView) => Uint8Array | undefined, RegExp][] = [
    [
      "truncated payload",
      (bytes) => bytes.subarray(0, 3000),
      /truncated bzImage: the header speaks of 5632 bytes, the file has 3000/,
    ],
    ["truncated header", (bytes) => bytes.subarray(0, 0x220), /truncated bzImage/],
    ["no boot flag", (_, view) => void view.setUint16(BZIMAGE.bootFlag, 0, true), /no boot flag/],
    [
      "payload that ends before its last 16 bytes begin",
      (bytes) => bytes.subarray(0, bytes.length - 16),
      /truncated bzImage/,
    ],
    [
      "protocol without a command line's address",
      (_, view) => void view.setUint16(BZIMAGE.version, 0x0201, true),
      /speaks boot protocol 2\.1, and 2\.2 is the oldest/,
    ],
    ["zImage", (_, view) => void view.setUint8(BZIMAGE.loadflags, 0), /zImage/],
    [
      "needs more memory",
      (_, view) => void view.setUint32(BZIMAGE.initSize, 64 * MIB, true),
      /needs 64 MiB to unpack itself, but the VM has only 8 MiB/,
    ],
    ["claims 4 GiB", (_, view) => void view.setUint32(BZIMAGE.syssize, 0xffffffff, true), /truncated/],
  ];
  test.each(broken)("%s: refused in words", async (_, damage, words) => {
    const bytes = bzimage();
    const { pc, good } = await boot(damage(bytes, new DataView(bytes.buffer)) ?? bytes);
    expect(good).toBe(false);
    expect(pc.log()).toMatch(words);
  });

  test("an initrd or command line that does not fit is refused in words", async () => {
    const big = await boot(bzimage({ payload: 16 }), {
      initrd: new Uint8Array(7.5 * MIB),
      line: "vm0.memory=8M",
    });
    expect(big.good).toBe(false);
    expect(big.pc.log()).toMatch(/initrd of \d+ bytes does not fit: beside the kernel, .* are free/);
    const bytes = bzimage();
    new DataView(bytes.buffer).setUint32(BZIMAGE.cmdlineSize, 10, true);
    const long = await boot(bytes, { append: "a=12345678901" });
    expect(long.good).toBe(false);
    expect(long.pc.log()).toMatch(/command line has 13 bytes, but this kernel takes 10/);
  });
});

describe("PVH", () => {
  const image = (bits: 32 | 64) =>
    elf(bits, 0xdead, [load(0x1000, 0x200000, pattern(3000), 0x2000), pvhNote(0x300, 0x200040)]);

  test.each([32, 64] as const)("ELF%d: segments, start information and 32-bit entry", async (bits) => {
    const { pc, good } = await boot(image(bits), { append: "hello", initrd: pattern(700) });
    expect(good, pc.log()).toBe(true);
    expect(pc.read(0x200000n, 3000)).toEqual(pattern(3000));
    expect(pc.read(0x200000n + 3000n, 0x2000 - 3000).every((byte) => byte === 0)).toBe(true);
    const { vcpu } = pc;
    expect(vcpu.get("rip")).toBe(0x200040n);
    expect(vcpu.get("cr0") & 0x80000001n).toBe(1n);
    expect(vcpu.get("cr4")).toBe(0n);
    expect(vcpu.segment(CS)).toMatchObject({ base: 0n, limit: 0xffffffff, access: 0xc09b });
    expect(vcpu.segment(TR)).toMatchObject({ base: 0n, limit: 0x67, access: 0x8b });
    const info = pc.view(vcpu.get("rbx"), 56);
    expect(info.getUint32(0, true)).toBe(0x336ec578);
    expect(info.getUint32(4, true)).toBe(1);
    expect(info.getUint32(12, true)).toBe(1);
    const module = pc.view(info.getBigUint64(16, true), 32);
    expect(pc.read(module.getBigUint64(0, true), 700)).toEqual(pattern(700));
    expect(module.getBigUint64(8, true)).toBe(700n);
    expect(ascii(pc, Number(info.getBigUint64(24, true)))).toBe("hello");
    expect(info.getBigUint64(32, true)).toBe(pc.call("rsdp", 0));
    const map = pc.view(info.getBigUint64(40, true), 24 * info.getUint32(48, true));
    expect(map.getBigUint64(0, true)).toBe(0n);
    expect(map.getUint32(16, true)).toBe(1);
  });

  test("an ELF without note is refused in words", async () => {
    const { pc, good } = await boot(elf(64, 0, [load(0x1000, 0x200000, pattern(16))]));
    expect(good).toBe(false);
    expect(pc.log()).toMatch(/without a PVH note/);
  });
});

describe("multiboot", () => {
  const program = (flags = 3) => {
    const contents = new Uint8Array(0x400);
    contents.set(multibootHeader(flags), 0x100);
    return elf(32, 0x100200, [load(0x1000, 0x100000, contents, 0x1000)]);
  };

  test("ELF32: registers, memory map, modules and command line", async () => {
    const modules = [{ text: "vm0.module first one", contents: pattern(10) }];
    const { pc, good } = await boot(program(), { append: "kernel args", initrd: pattern(20), modules });
    expect(good, pc.log()).toBe(true);
    expect(pc.vcpu.get("rip")).toBe(0x100200n);
    expect(pc.vcpu.get("rax")).toBe(0x2badb002n);
    const info = pc.view(pc.vcpu.get("rbx"), 120);
    const at = (offset: number) => info.getUint32(offset, true);
    expect(at(0) & 0x4d).toBe(0x4d);
    expect(at(4)).toBe(639);
    expect(at(8)).toBe(7 * 1024);
    expect(ascii(pc, at(16))).toBe("kernel args");
    expect(at(20)).toBe(2);
    const list = pc.view(BigInt(at(24)), 32);
    expect(pc.read(BigInt(list.getUint32(0, true)), 20)).toEqual(pattern(20));
    expect(list.getUint32(4, true) - list.getUint32(0, true)).toBe(20);
    expect(ascii(pc, list.getUint32(24, true))).toBe("first one");
    const map = pc.view(BigInt(at(48)), at(44));
    expect(map.getUint32(0, true)).toBe(20);
    expect(map.getBigUint64(4, true)).toBe(0n);
  });

  test("address fields instead of ELF", async () => {
    const { pc, good } = await boot(haltKernel());
    expect(good, pc.log()).toBe(true);
    expect(pc.vcpu.get("rip")).toBe(0x100020n);
    expect(pc.read(0x100020n, 1)[0]).toBe(0xf4);
  });

  test("header and bss as the address fields say, with a file that begins before them", async () => {
    const header = multibootHeader(0x10000, [0x180010, 0x180000, 0x180100, 0x180200, 0x180040]);
    const bytes = new Uint8Array(0x300).fill(0xaa);
    bytes.set(header, 0x30);
    const { pc, good } = await boot(bytes);
    expect(good, pc.log()).toBe(true);
    expect(pc.read(0x180000n, 0x100)).toEqual(bytes.subarray(0x20, 0x120));
    expect(pc.read(0x180100n, 0x100).every((byte) => byte === 0)).toBe(true);
    expect(pc.vcpu.get("rip")).toBe(0x180040n);
  });

  const low = (address: number, bytes: number) => {
    const contents = pattern(bytes);
    contents.set(multibootHeader(3), 0x100);
    return elf(32, address, [load(0x1000, address, contents, bytes)]);
  };

  test.each([
    ["at 0x500", 0x500, 0x4000],
    ["where the boot data usually lie", 0x8200, 0x8000],
    ["in nearly all of low memory", 0x2000, 0x9dc00 - 0x2000],
  ])("a segment %s: the boot data lie around it", async (_, address, bytes) => {
    const image = low(address, bytes);
    const { pc, good } = await boot(image, { append: "low", initrd: pattern(20) });
    expect(good, pc.log()).toBe(true);
    expect(pc.read(BigInt(address), bytes)).toEqual(image.subarray(0x1000, 0x1000 + bytes));
    const info = Number(pc.vcpu.get("rbx"));
    const block = [info - 0x7000, info - 0x7000 + 0x15000] as const;
    expect(block[0] >= address + bytes || block[1] <= address).toBe(true);
    for (const inBlock of [pc.vcpu.get("gdtrBase"), pc.vcpu.get("rsp") - 1n]) {
      expect(Number(inBlock)).toBeGreaterThanOrEqual(block[0]);
      expect(Number(inBlock)).toBeLessThan(block[1]);
    }
    const view = pc.view(BigInt(info), 120);
    expect(ascii(pc, view.getUint32(16, true))).toBe("low");
    const module = pc.view(BigInt(view.getUint32(24, true)), 16);
    expect(pc.read(BigInt(module.getUint32(0, true)), 20)).toEqual(pattern(20));
  });

  test("a kernel that leaves no room for the boot data is refused in words", async () => {
    const segments = [
      load(0x1000, 0x2000, pattern(0x9dc00 - 0x2000)),
      load(0x200000, 0x100000, new Uint8Array(0x100000)),
    ];
    (segments[0] as { contents: Uint8Array }).contents.set(multibootHeader(0), 0x100);
    const { pc, good } = await boot(elf(32, 0x2000, segments), { line: "vm0.memory=2M" });
    expect(good).toBe(false);
    expect(pc.log()).toMatch(/leaves no 84 KiB of memory/);
  });

  test.each([
    ["the interrupt vectors", multibootHeader(0x10000, [0x400, 0x400, 0, 0, 0]), /overlaps/],
    ["unknown demands", program(0x20), /demands features that are not known \(flags 0x20\)/],
    ["no ELF, no addresses", multibootHeader(0), /neither an ELF nor gives load addresses/],
    [
      "addresses that contradict",
      multibootHeader(0x10000, [0x100000, 0x200000, 0, 0, 0]),
      /contradict each other/,
    ],
    ["a load end past the file", multibootHeader(0x10000, [0x100000, 0x100000, 0x110000, 0, 0]), /truncated/],
    [
      "no RAM there",
      multibootHeader(0x10000, [0x80000000, 0x80000000, 0, 0, 0]),
      /lies outside the VM's memory/,
    ],
    ["firmware's memory", multibootHeader(0x10000, [0x9fc00, 0x9fc00, 0, 0, 0]), /overlaps/],
  ])("%s: refused in words", async (_, kernel, words) => {
    const { pc, good } = await boot(kernel);
    expect(good).toBe(false);
    expect(pc.log()).toMatch(words);
  });
});

describe("hostile ELF headers", () => {
  test.each([
    ["for another processor", (v: DataView) => v.setUint16(18, 40, true), /another kind of processor/],
    ["program headers past the end", (v: DataView) => v.setUint32(28, 0xfffffff0, true), /truncated ELF/],
    ["tiny program headers", (v: DataView) => v.setUint16(42, 8, true), /without program headers/],
    ["thousands of program headers", (v: DataView) => v.setUint16(44, 5000, true), /more than 64/],
    ["a segment past the end", (v: DataView) => v.setUint32(52 + 16, 0xffffffff, true), /truncated ELF/],
    [
      "more file than memory",
      (v: DataView) => v.setUint32(52 + 20, 1, true),
      /more bytes in the file than in memory/,
    ],
    [
      "a segment that wraps around",
      (v: DataView) => v.setUint32(52 + 20, 0xffffffff, true),
      /outside the VM's memory/,
    ],
  ])("%s: refused in words", async (_, damage, words) => {
    const contents = new Uint8Array(0x400);
    contents.set(multibootHeader(0), 0);
    const bytes = elf(32, 0x100000, [load(0x100, 0x100000, contents)]);
    damage(new DataView(bytes.buffer));
    const { pc, good } = await boot(bytes);
    expect(good).toBe(false);
    expect(pc.log()).toMatch(words);
  });

  test("two segments in the same place", async () => {
    const contents = new Uint8Array(0x400);
    contents.set(multibootHeader(0), 0);
    const { pc, good } = await boot(
      elf(32, 0, [load(0x100, 0x100000, contents), load(0x600, 0x1003ff, pattern(4))]),
    );
    expect(good).toBe(false);
    expect(pc.log()).toMatch(/segment 1 .* overlaps/);
  });
});

test("RAM in several pieces of host memory: what is loaded may lie across their seams", async () => {
  const initrd = pattern(3 * MIB + 17);
  const kernel = bzimage({ payload: 2.5 * MIB, initSize: 3 * MIB });
  const { pc, good } = await boot(kernel, { initrd, line: "vm0.memory=12M", hostMib: [7, 4, 9] });
  expect(good, pc.log()).toBe(true);
  const regions = [0, 1, 2].map((i) => pc.call("regionBytes", 0, i) as bigint);
  expect(regions.reduce((a, b) => a + b, 0n)).toBe(12n << 20n);
  expect(regions.every((bytes) => bytes % (2n << 20n) === 0n)).toBe(true);
  const bytesAt = (gpa: bigint, length: number) =>
    Uint8Array.from({ length }, (_, i) => pc.read(gpa + BigInt(i), 1)[0] as number);
  for (const at of [0, 2 * MIB - 8, 2.5 * MIB - 16]) {
    expect(bytesAt(0x100000n + BigInt(at), 16)).toEqual(kernel.subarray(1536 + at, 1536 + at + 16));
  }
  const ramdisk = pc.view(pc.vcpu.get("rsi"), 4096).getUint32(BZIMAGE.ramdiskImage, true);
  for (let at = 0; at + 16 < initrd.length; at += 65_521) {
    expect(bytesAt(BigInt(ramdisk + at), 16)).toEqual(initrd.subarray(at, at + 16));
  }
  const scattered = await boot(bzimage(), { line: "vm0.memory=12M", hostMib: [3, 3, 3, 3, 3, 3] });
  expect(scattered.good).toBe(false);
  expect(scattered.pc.log()).toMatch(
    /does not fit into the machine, which has 18 MiB in all, in pieces of at most/,
  );
}, 60_000);

test("an unknown file is refused with the formats that are known", async () => {
  const { pc, good } = await boot(new TextEncoder().encode("#!/bin/sh\necho no kernel\n"));
  expect(good).toBe(false);
  expect(pc.log()).toMatch(/in no known format.*Linux bzImage, ELF with a PVH note, multiboot-1/);
});

test("random damage to any image gives a loaded VM or an error in words, and touches nothing outside guest RAM", async () => {
  const numbers = new Random(2025);
  const random = () => numbers.next();
  const contents = new Uint8Array(0x200);
  contents.set(multibootHeader(3), 0x40);
  const images = [
    bzimage({ payload: 512 }),
    elf(64, 0, [load(0x200, 0x200000, pattern(64)), pvhNote(0x300, 0x200000)]),
    elf(32, 0x100000, [load(0x100, 0x100000, contents)]),
    haltKernel(),
  ];
  for (let round = 0; round < 120; round++) {
    const image = (images[round % images.length] as Uint8Array).slice();
    for (let flips = 1 + (random() % 6); flips > 0; flips--) {
      const interesting =
        round % images.length === 0 ? 0x1f1 + (random() % 0x77) : random() % Math.min(image.length, 0x180);
      image[interesting] = [0, 0xff, 0x7f, 0x80, random() & 0xff][random() % 5] as number;
    }
    const { pc, good } = await boot(random() % 8 === 0 ? image.subarray(0, random() % image.length) : image);
    if (!good) expect(pc.log()).toMatch(/typevisor: error: vm0: .{20,}/);
    const outside = [...pc.cpu.pages.keys()].filter(
      (page) => page < 0x40000n || (page >= 0x44000n && page < 0x10000000n),
    );
    expect(outside).toEqual([]);
  }
}, 120_000);

/** Walks the guest's 4-level page tables. */
function translate(pc: Pc, address: bigint): bigint {
  let table = pc.vcpu.get("cr3");
  for (let shift = 39n; shift >= 12n; shift -= 9n) {
    const entry = pc.view(table + ((address >> shift) & 511n) * 8n, 8).getBigUint64(0, true);
    if ((entry & 1n) === 0n) throw new Error("not present");
    const base = entry & 0xffffffffff000n;
    if (shift === 12n || (entry & 0x80n) !== 0n) {
      const mask = (1n << shift) - 1n;
      return (base & ~mask) | (address & mask);
    }
    table = base;
  }
  throw new Error("unreachable");
}
