import { expect, test } from "vitest";
import { parseSize } from "../../tools/lib/size.ts";
import { bootModules, quoteForGrub, quoteForQemu, vmArgs } from "../../tools/machines/cmdline.ts";
import { HypervisorStatus } from "../../tools/machines/status.ts";
import type { VmConfig } from "../../tools/vm/config.ts";

const vm: VmConfig = {
  name: "vm0",
  kernel: "/boot/vmlinuz",
  initrd: "/boot/initrd",
  bootArgs: "console=ttyS0 quiet",
  memoryBytes: 256 << 20,
  cpus: 1,
  restart: false,
  debugExitPort: 0xf4,
};

test("VMs become words of the hypervisor's command line, and modules with their roles", () => {
  expect(vmArgs([vm])).toEqual(["vm0.memory=262144K", "vm0.cpus=1", "vm0.restart=0", "vm0.debug-exit=0xf4"]);
  expect(vmArgs([{ ...vm, testdev: true }])).toContain("vm0.testdev=1");
  const texts = bootModules([vm, { ...vm, initrd: undefined, bootArgs: "" }]).map((module) => module.text);
  expect(texts).toEqual(["vm0.kernel console=ttyS0 quiet", "vm0.initrd", "vm1.kernel"]);
});

test("loaders get their own quoting", () => {
  expect(quoteForQemu("console=ttyS0,115200")).toBe("console=ttyS0,,115200");
  expect(quoteForGrub("a=$b  {c}")).toBe("'a=$b' '{c}'");
  expect(() => quoteForGrub('dyndbg="file x +p"')).toThrow(/GRUB does not hand over unchanged/);
});

test.each([
  ["256M", 256 << 20],
  ["1G", 1 << 30],
  ["2048k", 2 << 20],
  ["512", 512 << 20],
  ["64MiB", 64 << 20],
])("size %s", (text, bytes) => expect(parseSize(text, "--memory")).toBe(bytes));

test.each(["", "M", "-1M", "1.5G", "1T", "0x10"])("size %j is refused", (text) => {
  expect(() => parseSize(text, "--memory")).toThrow(/^--memory: ".*" is not a memory size/);
});

test("the end of a run is read from the hypervisor's log", () => {
  const status = new HypervisorStatus();
  for (const line of [
    "boot",
    "typevisor: vm0: stopped: triple-fault (status 11)",
    "typevisor: halt (status 11)",
  ]) {
    status.take(line);
  }
  expect(status).toMatchObject({ reason: "vm0: triple-fault", final: 11 });
});
