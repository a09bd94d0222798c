// What the loaders really hand over: QEMU's multiboot loader, GRUB on Bochs, GRUB from the CD image with BIOS and UEFI.
// A kernel of a few instructions prints it; the hypervisor relies on the same strings.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildIso } from "../../tools/image/iso.ts";
import { capture } from "../../tools/lib/command.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import { bootModules } from "../../tools/machines/cmdline.ts";
import type { LaunchPlan, Machine } from "../../tools/machines/machine.ts";
import { qemuTcg } from "../../tools/machines/qemu-tcg.ts";
import type { VmConfig } from "../../tools/vm/config.ts";

const directory = mkdtempSync(join(tmpdir(), "typevisor-test-"));
const image = join(directory, "handover.elf");
afterAll(() => rmSync(directory, { recursive: true }));

const OVMF = "/usr/share/ovmf/OVMF.fd";
const MIB = 1 << 20;

const vm: VmConfig = {
  name: "vm0",
  kernel: join(directory, "kernel, with blank"),
  initrd: join(directory, "initrd.gz"),
  bootArgs: "console=ttyS0,115200 a=$b c={d} e;f vm0.initrd",
  memoryBytes: 64 * MIB,
  cpus: 1,
  restart: true,
};

beforeAll(() => {
  const object = join(directory, "handover.o");
  execFileSync("nasm", ["-f", "elf32", join(ROOT, "tests/cli/handover.asm"), "-o", object]);
  execFileSync("ld", ["-m", "elf_i386", "-Ttext", "0x100000", "-o", image, object]);
  writeFileSync(vm.kernel, "KERNEL");
  // Must arrive packed: a loader that unpacks gzip on its own account would hand over something else.
  writeFileSync(vm.initrd as string, gzipSync("INITRD"));
});

async function boot(machine: Machine): Promise<string> {
  const own = join(directory, machine.name);
  mkdirSync(own);
  const plan: LaunchPlan = {
    image,
    hypervisorArgs: ["loglevel=info", "vm0.memory=65536K"],
    vms: [vm],
    memoryBytes: 128 * MIB,
    emulatorArgs: [],
    icount: false,
    directory: own,
  };
  const running = await machine.launch(plan);
  let output = "";
  running.console.setEncoding("latin1").on("data", (text: string) => {
    output += text;
  });
  running.log.resume();
  await running.exited;
  return output;
}

/** The lines with what every loader hands over; QEMU puts file names before the strings. */
function expectHandover(output: string, hypervisorArgs: string): void {
  // Bytes that are no ASCII depend on how the output was decoded.
  const lines = output.split("\n").map((line) => line.replace("\r", "").replace(/[\u0080-\uffff]/g, "?"));
  expect(lines).toContainEqual(
    expect.stringMatching(new RegExp(`^cmdline=\\[(typevisor )?${hypervisorArgs}\\]$`)),
  );
  const modules = lines
    .filter((line) => line.startsWith("module="))
    .map((line) => line.replace(/\[vm0-\S+ /, "["));
  expect(modules).toEqual([
    `module=[vm0.kernel ${vm.bootArgs}] begins=[KERN]`,
    "module=[vm0.initrd] begins=[\x1f?\x08]",
  ]);
  expect(lines).toContain("rsdp found");
}

test("QEMU's multiboot loader", async () => {
  expectHandover(await boot(qemuTcg), "loglevel=info vm0.memory=65536K log=com2 exit=isa:0xf4");
});

test("GRUB on Bochs", async () => {
  expectHandover(await boot(bochs), "loglevel=info vm0.memory=65536K log=com2 exit=bochs");
});

test.each([
  ["BIOS", []],
  ["UEFI", ["-bios", OVMF]],
])("the CD image with %s", async (_name, firmware) => {
  const output = join(directory, "boot.iso");
  await buildIso({
    output,
    image,
    modules: bootModules([vm]),
    entries: [{ title: "Typevisor", hypervisorArgs: ["exit=acpi"] }],
    timeoutSeconds: 0,
    firmware: ["bios", "uefi"],
  });
  const machine = [
    "-accel",
    "tcg",
    "-m",
    "256",
    "-nodefaults",
    "-vga",
    "std",
    "-display",
    "none",
    "-no-reboot",
  ];
  const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
  const result = await capture("qemu-system-x86_64", [
    ...machine,
    ...firmware,
    ...exit,
    ...["-cdrom", output, "-serial", "stdio"],
  ]);
  expectHandover(result.stdout, "exit=acpi");
  expect(result.status).toBe((21 << 1) | 1);
});
