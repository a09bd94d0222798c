// A session of gdb with the hypervisor on an emulated machine: a breakpoint at a line, and a backtrace with inlined functions.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildImage, type Image } from "../../tools/image/build.ts";
import { capture } from "../../tools/lib/command.ts";
import { ROOT } from "../../tools/lib/paths.ts";
import { assembleGuest, DEBUG_EXIT } from "../guests/harness.ts";

const HANDLER = "kernel/exits/cpuid.ts";

let directory: string;
let image: Image;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "typevisor-gdb-"));
  image = await buildImage();
}, 300_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What gdb says to commands while the guest of CPUIDs runs in QEMU, which is gdb's child. */
async function session(commands: string[]): Promise<string> {
  const kernel = await assembleGuest("cpuid", directory);
  const machine = ["-accel", "tcg", "-cpu", "max", "-m", "128", "-display", "none", "-monitor", "none"];
  const files = ["-kernel", image.elf, "-initrd", `'${kernel} vm0.kernel'`];
  const words = ["-append", `'log=com1 exit=none vm0.memory=32M vm0.debug-exit=${DEBUG_EXIT}'`];
  const qemu = [
    "qemu-system-x86_64",
    ...machine,
    "-serial",
    "null",
    ...files,
    ...words,
    "-S",
    "-gdb",
    "stdio",
  ];
  const script = join(directory, "commands");
  const setup = ["set pagination off", "set confirm off", "set architecture i386:x86-64"];
  writeFileSync(
    script,
    [...setup, `target remote | exec ${qemu.join(" ")}`, ...commands, "kill", ""].join("\n"),
  );
  const { stdout } = await capture("gdb", ["-nx", "-q", "-batch", "-x", script, image.elf64], { cwd: ROOT });
  return stdout;
}

test("gdb stops in a handler that is inlined, and names every frame with its TypeScript line", async () => {
  const said = await session(["hbreak handleCpuid", "continue", "backtrace", "info frame"]);
  const frames = [...said.matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(\) at (\S+):\d+$/gm)];
  const names = ["handleCpuid", "onExit", "run", "runVcpu", "runVm", "runAll", "kmain", "tv_start64"];
  expect(
    frames.map(([, name]) => name),
    said,
  ).toEqual(names);
  const files = [HANDLER, "kernel/run.ts", "kernel/svm/backend.ts", "kernel/run.ts"];
  expect(frames.slice(0, files.length).map(([, , file]) => file)).toEqual(files);
  expect(said).toMatch(
    / in handleCpuid \(kernel\/exits\/cpuid\.ts:\d+\); saved rip = 0x[0-9a-f]+\n inlined into frame 1/,
  );
}, 120_000);
