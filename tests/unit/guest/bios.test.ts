// The BIOS's services: each call as a program in real mode makes it, by the code behind the interrupt's vector.
import { beforeEach, describe, expect, test } from "vitest";
import { BZIMAGE, bzimage } from "./kernels.ts";
import { Pc } from "./pc.ts";

const [CS, SS, ES] = [1, 2, 0];
const STACK = 0x7000n;
const CF = 1n;
const ZF = 0x40n;
const SMAP = 0x534d4150n;
const PORT = 0xb2;

let pc: Pc;

/** An iPXE-like image: nothing but a real-mode entry. */
function realModeKernel(): Uint8Array {
  const image = bzimage();
  const view = new DataView(image.buffer);
  view.setUint16(BZIMAGE.xloadflags, 0, true);
  view.setUint32(BZIMAGE.code32Start, 0, true);
  return image;
}

async function start(memory = "32M"): Promise<Pc> {
  const modules = [
    { text: "vm0.kernel chain http://there", contents: realModeKernel() },
    { text: "vm0.initrd", contents: new Uint8Array(5000).fill(7) },
  ];
  const machine = await Pc.create({ line: `vm0.memory=${memory}`, modules });
  expect(machine.call("describe"), machine.log()).toBe(1);
  expect(machine.call("build", 0, 0n), machine.log()).toBe(1);
  return machine;
}

const word = (at: bigint) => pc.view(at, 2).getUint16(0, true);
const physical = (index: number, offset: bigint) => (pc.vcpu.segment(index).base as bigint) + offset;

interface Call {
  ax: number;
  bx?: number;
  cx?: number;
  dx?: number;
  di?: number;
}

/** INT `vector`, up to the call of the hypervisor. The carry and zero flags that the caller gets back. */
function int(vector: number, registers: Call): { carry: boolean; zero: boolean } {
  const [offset, segment] = [word(BigInt(vector * 4)), word(BigInt(vector * 4 + 2))];
  const code = BigInt(segment * 16 + offset);
  const bytes = pc.read(code, 16);
  // The write to the port is its first instruction, or behind STI.
  const at = bytes[0] === 0xfb ? 1 : 0;
  expect([...bytes.subarray(at, at + 2)]).toEqual([0xe6, PORT]);
  pc.vcpu.setSegment(CS, { selector: segment, base: BigInt(segment * 16), limit: 0xffff, access: 0x9b });
  pc.vcpu.setSegment(SS, { selector: 0, base: 0n, limit: 0xffff, access: 0x93 });
  pc.vcpu.set("rip", offset + at);
  pc.vcpu.set("rsp", STACK);
  const { ax, bx = 0, cx = 0, dx = 0, di = 0 } = registers;
  for (const [name, value] of Object.entries({ rax: ax, rbx: bx, rcx: cx, rdx: dx, rdi: di })) {
    pc.vcpu.set(name as "rax", BigInt(value));
  }
  const flags = pc.hpaOf(STACK + 4n);
  pc.cpu.store(flags, 2, 0x203n);
  pc.out(PORT, ax & 0xff);
  const after = pc.cpu.load(flags, 2);
  return { carry: (after & CF) !== 0n, zero: (after & ZF) !== 0n };
}

const reg = (name: "rax" | "rbx" | "rcx" | "rdx") => pc.vcpu.get(name) as bigint;

beforeEach(async () => {
  pc = await start();
});

describe("a real-mode kernel", () => {
  test("is entered behind its boot sector, in real mode, with its header filled in", () => {
    const { vcpu } = pc;
    const ds = vcpu.segment(3);
    expect(vcpu.segment(CS)).toMatchObject({
      selector: (ds.selector as number) + 0x20,
      limit: 0xffff,
      access: 0x9b,
    });
    expect([
      vcpu.get("rip"),
      (vcpu.get("cr0") as bigint) & 1n,
      (vcpu.get("rflags") as bigint) & 0x200n,
    ]).toEqual([0n, 0n, 0n]);
    const image = realModeKernel();
    const setup = ds.base as bigint;
    expect(pc.read(setup, 0x1f1)).toEqual(image.subarray(0, 0x1f1));
    expect(pc.read(0x100000n, 1024)).toEqual(image.subarray(1536, 2560));
    const header = pc.view(setup, 0x300);
    expect(header.getUint8(BZIMAGE.typeOfLoader)).toBe(0xff);
    expect(header.getUint32(BZIMAGE.ramdiskSize, true)).toBe(5000);
    expect(pc.read(BigInt(header.getUint32(BZIMAGE.ramdiskImage, true)), 5000)).toEqual(
      new Uint8Array(5000).fill(7),
    );
    const line = pc.read(BigInt(header.getUint32(BZIMAGE.cmdLine, true)), 20);
    expect(new TextDecoder().decode(line)).toBe("chain http://there\0\0");
    const stack = physical(SS, vcpu.get("rsp") as bigint);
    expect(stack < setup || stack >= setup + 1536n).toBe(true);
  });

  test("finds the timer ticking at vector 8", () => {
    pc.advance(60_000_000);
    expect(pc.acknowledge()).toBe(8);
    int(0x08, { ax: 0x1234 });
    expect(pc.view(0x46cn, 4).getUint32(0, true)).toBe(1);
    expect(reg("rax")).toBe(0x1234n);
    // The interrupt has been ended: the next one comes.
    pc.advance(60_000_000);
    expect(pc.acknowledge()).toBe(8);
  });
});

describe("INT 15h", () => {
  test("E820 gives the memory map, entry by entry", () => {
    pc.vcpu.setSegment(ES, { selector: 0x800, base: 0x8000n, limit: 0xffff, access: 0x93 });
    const entries: [bigint, bigint, number][] = [];
    let next = 0;
    do {
      const { carry } = int(0x15, { ax: 0xe820, bx: next, cx: 20, dx: Number(SMAP), di: 0x10 });
      expect([carry, reg("rax"), reg("rcx")]).toEqual([false, SMAP, 20n]);
      const entry = pc.view(0x8010n, 20);
      entries.push([entry.getBigUint64(0, true), entry.getBigUint64(8, true), entry.getUint32(16, true)]);
      next = Number(reg("rbx"));
    } while (next !== 0);
    expect(entries).toContainEqual([0n, 0x9fc00n, 1]);
    expect(entries).toContainEqual([0x100000n, 31n << 20n, 1]);
    expect(entries).toHaveLength(5);
  });

  test.each([
    ["an entry that is not there", { ax: 0xe820, bx: 5, cx: 20, dx: Number(SMAP) }],
    ["too little room", { ax: 0xe820, cx: 19, dx: Number(SMAP) }],
    ["another signature", { ax: 0xe820, cx: 20 }],
    ["an unknown service", { ax: 0x5300 }],
  ] as [string, Call][])("%s: CF", (_what, call) => {
    expect(int(0x15, call).carry).toBe(true);
    expect(reg("rax") >> 8n).toBe(0x86n);
  });

  test("E801, 88h: the memory above 1 MiB; the A20 gate is open", async () => {
    expect(int(0x15, { ax: 0xe801 }).carry).toBe(false);
    expect([reg("rax"), reg("rbx"), reg("rcx"), reg("rdx")]).toEqual([0x3c00n, 256n, 0x3c00n, 256n]);
    expect(int(0x15, { ax: 0x8800 }).carry).toBe(false);
    expect(reg("rax")).toBe(31n * 1024n);
    expect(int(0x15, { ax: 0x2402 }).carry).toBe(false);
    expect(reg("rax")).toBe(1n);
    pc = await start("8M");
    int(0x15, { ax: 0xe801 });
    expect([reg("rax"), reg("rbx")]).toEqual([7n * 1024n, 0n]);
  });

  test("a buffer that is not RAM takes nothing", () => {
    pc.vcpu.setSegment(ES, { selector: 0, base: 0xd000_0000n, limit: 0xffff, access: 0x93 });
    expect(int(0x15, { ax: 0xe820, cx: 20, dx: Number(SMAP) }).carry).toBe(true);
  });
});

describe("the console", () => {
  test("INT 10h, 0Eh prints; other services print nothing", () => {
    for (const letter of "hi") int(0x10, { ax: 0x0e00 | letter.charCodeAt(0) });
    int(0x10, { ax: 0x0941, cx: 1 });
    expect(pc.console()).toBe("hi");
    int(0x10, { ax: 0x0f00, bx: 0x1234 });
    expect([reg("rax"), reg("rbx")]).toEqual([0x5003n, 0x34n]);
  });

  test("INT 16h looks for a key, takes it, and waits for the next one", () => {
    expect(int(0x16, { ax: 0x0100 }).zero).toBe(true);
    expect(pc.call("input", 0, 0x61)).toBe(1);
    expect(int(0x16, { ax: 0x0100 }).zero).toBe(false);
    expect(reg("rax")).toBe(0x61n);
    expect(int(0x16, { ax: 0x1100 }).zero).toBe(false);
    int(0x16, { ax: 0 });
    expect([reg("rax"), (pc.vcpu.get("rflags") as bigint) & CF]).toEqual([0x61n, 0n]);
    int(0x16, { ax: 0x1000 });
    // The code at the vector sees CF and halts until the next interrupt.
    expect((pc.vcpu.get("rflags") as bigint) & CF).toBe(CF);
    expect(reg("rax")).toBe(0x1000n);
  });
});

describe("the rest", () => {
  test("equipment, conventional memory, ticks", () => {
    int(0x11, { ax: 0 });
    expect(reg("rax")).toBe(0x200n);
    int(0x12, { ax: 0 });
    expect(reg("rax")).toBe(639n);
    int(0x1a, { ax: 0, cx: 9, dx: 9 });
    expect([reg("rax"), reg("rcx"), reg("rdx")]).toEqual([0n, 0n, 0n]);
  });

  test.each([0x13, 0x14, 0x17])("INT %i: there is none", (vector) => {
    expect(int(vector, { ax: 0x0200 }).carry).toBe(true);
    expect(reg("rax")).toBe(0x8600n);
  });

  test("nothing to boot from; start again", () => {
    int(0x18, { ax: 0 });
    expect(pc.console()).toBe("No bootable device.\r\n");
    int(0x19, { ax: 0 });
    expect((pc.vcpu.get("requests") as bigint) & 32n).toBe(32n);
  });

  test("the clock's interrupt reads its flags: the line is low again", () => {
    pc.out(0x70, 0x0b);
    pc.out(0x71, pc.in(0x71) | 0x40);
    pc.out(0xa1, 0xfe);
    pc.advance(20_000_000);
    for (let n = 0; n < 3; n++) {
      while (pc.acknowledge() !== 0x70) int(0x08, { ax: 0 });
      int(0x70, { ax: 0 });
      pc.advance(20_000_000);
    }
    expect(pc.pending()).not.toBe(-1);
  });

  test("from anywhere but a vector's code in real mode, the port does nothing", () => {
    int(0x11, { ax: 0 });
    for (const [rip, cr0] of [
      [0x1234, 0x10n],
      [Number(pc.vcpu.get("rip")), 0x11n],
    ] as [number, bigint][]) {
      pc.vcpu.set("rip", rip);
      pc.vcpu.set("cr0", cr0);
      pc.vcpu.set("rax", 0x55n);
      pc.out(PORT, 0);
      expect(reg("rax")).toBe(0x55n);
    }
  });
});
