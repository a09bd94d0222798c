import { describe, expect, test } from "vitest";
import { Pc } from "./pc.ts";

const kernel = { text: "vm0-kernel vm0.kernel console=ttyS0  quiet", contents: new Uint8Array(16) };
const initrd = { text: "vm0.initrd", contents: new Uint8Array(8) };

async function described(line: string, modules = [kernel]): Promise<{ pc: Pc; good: boolean }> {
  const pc = await Pc.create({ line, modules });
  return { pc, good: (pc.call("describe") as number) !== 0 };
}

describe("the command line", () => {
  test("without words about VMs, one VM has the defaults", async () => {
    const { pc, good } = await described("log=com2 loglevel=info");
    expect(good).toBe(true);
    expect(pc.call("count")).toBe(1);
    expect(pc.call("memoryBytes", 0)).toBe(256n << 20n);
    expect(pc.call("cpus", 0)).toBe(1);
    expect(pc.call("debugExit", 0)).toBe(0);
    expect(pc.call("restart", 0)).toBe(1);
    expect(pc.call("stopAtUnknown", 0)).toBe(0);
  });

  test("every option of a VM is read, the last of several counts", async () => {
    const { pc, good } = await described(
      "vm0.memory=1M vm0.memory=300M vm0.cpus=1 vm0.debug-exit=0xf4 vm0.restart=0 vm0.lazy=1 vm0.unknown=stop",
    );
    expect(good).toBe(true);
    expect(pc.call("memoryBytes", 0)).toBe(300n << 20n);
    expect(pc.call("cpus", 0)).toBe(1);
    expect(pc.call("debugExit", 0)).toBe(0xf4);
    expect(pc.call("restart", 0)).toBe(0);
    expect(pc.call("lazy", 0)).toBe(1);
    expect(pc.call("stopAtUnknown", 0)).toBe(1);
  });

  test.each([
    ["vm0.memory=lots", /memory=`lots` is not a number of bytes.*from 1 MiB/],
    ["vm0.memory=100", /memory=`100` is not/],
    ["vm0.memory=1048577", /memory=`1048577` is not/],
    ["vm0.memory=2T", /memory=`2T` is not/],
    ["vm0.cpus=0", /cpus=`0`, but a VM has one virtual CPU. Leave the word out, or write cpus=1/],
    ["vm0.cpus=2", /cpus=`2`, but a VM has one virtual CPU/],
    ["vm0.debug-exit=65536", /debug-exit=`65536` is not an I\/O port/],
    ["vm0.testdev=yes", /`vm0.testdev=yes` is neither 0 nor 1/],
    ["vm0.restart=yes", /`vm0.restart=yes` is neither 0 nor 1/],
    ["vm0.unknown=stopped", /`vm0.unknown=stopped` is neither fault nor stop/],
    ["vm0.colour=red", /`vm0.colour=red` is no option of a VM.*Known ones: memory=SIZE/],
    ["vm9.memory=1M", /vm9, but VMs are numbered from vm0 to vm7/],
    ["vm1.memory=16M", /vm1: there is no kernel for it/],
  ])("%s is refused in words", async (line, words) => {
    const { pc, good } = await described(line);
    expect(good).toBe(false);
    expect(pc.log()).toMatch(words);
    expect(pc.log()).toMatch(/^typevisor: error: /);
  });
});

describe("modules", () => {
  test("a role gives the guest everything after it, one blank trimmed", async () => {
    const { pc, good } = await described("", [initrd, kernel]);
    expect(good).toBe(true);
    expect(pc.text(pc.call("moduleText", 0, 0) as number)).toBe("console=ttyS0  quiet");
    expect(pc.call("moduleBytes", 0, 0)).toBe(16n);
    expect(pc.call("moduleBytes", 0, 1)).toBe(8n);
    expect(pc.text(pc.call("moduleText", 0, 1) as number)).toBe("");
  });

  test("without roles the first is the kernel, with what follows its file name, and the second the initrd", async () => {
    const { pc, good } = await described("", [
      { ...kernel, text: "/boot/vmlinuz root=/dev/vda ro" },
      { ...initrd, text: "/boot/initrd" },
    ]);
    expect(good).toBe(true);
    expect(pc.text(pc.call("moduleText", 0, 0) as number)).toBe("root=/dev/vda ro");
    expect(pc.call("moduleBytes", 0, 1)).toBe(8n);
  });

  test("several VMs and further modules", async () => {
    const { pc, good } = await described("", [
      kernel,
      { text: "a vm1.kernel b", contents: new Uint8Array(3) },
      { text: "vm1.module one", contents: new Uint8Array(5) },
      { text: "vm1.module two", contents: new Uint8Array(6) },
    ]);
    expect(good).toBe(true);
    expect(pc.call("count")).toBe(2);
    expect(pc.text(pc.call("moduleText", 1, 0) as number)).toBe("b");
    expect(pc.call("moduleCount", 1)).toBe(2);
    expect(pc.text(pc.call("moduleText", 1, 3) as number)).toBe("two");
  });

  test("a word that only looks like a role is none", async () => {
    const { pc, good } = await described("", [
      { ...kernel, text: "vmlinuz vm0.kernels vmx.kernel vm0kernel" },
    ]);
    expect(good).toBe(true);
    expect(pc.text(pc.call("moduleText", 0, 0) as number)).toBe("vm0.kernels vmx.kernel vm0kernel");
  });

  test.each([
    ["two kernels", [kernel, kernel], /two modules have the same role/],
    [
      "one without a role among others",
      [kernel, { ...initrd, text: "initrd.gz" }],
      /module 2 \(`initrd.gz`\)/,
    ],
    ["three without roles", [1, 2, 3].map(() => ({ ...initrd, text: "file" })), /more than two modules/],
    [
      "nine further ones",
      [kernel, ...Array.from({ length: 9 }, () => ({ ...initrd, text: "vm0.module" }))],
      /more than 8 modules/,
    ],
  ])("%s: refused in words", async (_, modules, words) => {
    const { pc, good } = await described("", modules);
    expect(good).toBe(false);
    expect(pc.log()).toMatch(words);
  });
});
