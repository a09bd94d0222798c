// What users are told when something is wrong: one paragraph that names the thing at fault, status 125, no stack trace.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { STATUS_BAD_VM } from "../../kernel/abi/status.ts";
import { obtainGuest } from "../../tools/guest/guest.ts";
import { logNothing } from "../../tools/lib/progress.ts";
import { typevisor } from "./cli.ts";

const directory = mkdtempSync(join(tmpdir(), "typevisor-test-"));
afterAll(() => rmSync(directory, { recursive: true }));
beforeAll(async () => {
  await obtainGuest(logNothing);
}, 300_000);

function file(name: string, content: string | Uint8Array, mode = 0o644): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** Runs, expects failure of our own, and returns what was said. */
async function complaint(args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { status, stdout, stderr } = await typevisor(args, { env });
  expect(stdout).toBe("");
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(status).toBe(125);
  return stderr;
}

const text = file("notes.txt", "not a kernel\n");
const vmFile = file(
  "vm.json",
  JSON.stringify({ "boot-source": { kernel_image_path: "notes.txt" }, drive: 1 }),
);

test.each<[string[], RegExp]>([
  [
    ["run", "--kernel", "/none/vmlinuz"],
    /typevisor: \/none\/vmlinuz: cannot open the kernel: no such file or directory/,
  ],
  [["run", "--kernel", text], /notes\.txt: this is neither a bzImage nor an ELF kernel/],
  [["run", "--initrd", "/none/initrd"], /\/none\/initrd: cannot open the initrd/],
  [["run", "--memory", "lots"], /--memory: "lots" is not a memory size/],
  [["run", "--memory", "32M"], /32 MiB of guest memory is too small: .*vmlinuz needs at least/],
  [
    ["run", "--memory", "600G"],
    /600 GiB is not possible as the memory of vm0: give a size from 1 MiB to 512 GiB/,
  ],
  [["run", "--memory", "500G"], /The machine would need .* more than this computer has/],
  [["run", "--cpus", "x"], /--cpus x: expected a whole number/],
  [["run", "--cpus", "0"], /--cpus 0: expected (1;|a whole number from 1 to [^1])/],
  [["run", "--timeout", "soon"], /--timeout soon: expected a number of seconds/],
  [["run", "--debug-exit", "70000"], /--debug-exit 70000: expected an I\/O port/],
  [["run", "--debug-exit", "0"], /--debug-exit 0: expected an I\/O port from 1 to 0xffff/],
  [["run", "--vm", "/none/vm.json"], /\/none\/vm\.json: cannot read this VM file/],
  [["run", "--vm", vmFile], /vm\.json: drive: unknown key/],
  [["run", "--vm", vmFile, "--memory", "1G"], /--memory cannot be combined with --vm/],
  [["run", "--exec", "x".repeat(3000)], /--exec: the command has 3000 bytes; at most/],
  [["run", "--machine", "vax"], /'vax' is invalid\. Allowed choices are auto, qemu-kvm, qemu-tcg, bochs/],
  [
    ["run", "--machine", "qemu-tcg", "--backend", "vmx"],
    /machine qemu-tcg does not have it .* Choose --machine bochs/,
  ],
  [["run", "--frobnicate"], /unknown option '--frobnicate'/],
  [["rum"], /unknown command 'rum'/],
  [
    ["run", "--log-file", "/none/log", "--machine", "qemu-plain"],
    /--log-file \/none\/log: cannot write this file/,
  ],
  [
    ["run", "--machine", "qemu-plain", "--emulator-args", "-bogus"],
    /The emulator ended before it booted \(status 1\)[\s\S]*-bogus: invalid option/,
  ],
])("typevisor %j", async (args, words) => {
  expect(await complaint(args)).toMatch(words);
});

test("a missing emulator is named with what to install", async () => {
  const words = await complaint(["run", "--machine", "qemu-tcg"], { PATH: directory });
  expect(words).toMatch(
    /qemu-tcg is not available: qemu-system-x86_64 is not installed\. To get it: install .* qemu-system-x86/,
  );
});

test("an emulator that is too old is named with its version", async () => {
  file("qemu-system-x86_64", "#!/bin/sh\necho 'QEMU emulator version 4.2.1 (Debian)'\n", 0o755);
  const words = await complaint(["run", "--machine", "qemu-tcg"], { PATH: `${directory}:/usr/bin:/bin` });
  expect(words).toMatch(/QEMU 4\.2 is too old: 6\.2 or newer is needed/);
});

test("a busy port is named", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const args = ["run", "--machine", "qemu-plain", "--emulator-args", `-gdb tcp:127.0.0.1:${port}`];
  expect(await complaint(args)).toMatch(/emulator ended [\s\S]*Address already in use/);
  server.close();
});

test("--timeout ends a run that does not end, with its own status", async () => {
  const { status, stderr } = await typevisor([
    "run",
    "--machine",
    "qemu-plain",
    "--exec",
    "sleep 1000",
    "--timeout",
    "4",
  ]);
  expect(stderr).toMatch(/--timeout: stopped after 4 s/);
  expect(status).toBe(124);
});

test.each([[""], ["run"], ["doctor"], ["build"], ["iso"], ["setup"]])(
  "help of typevisor %s",
  async (...command) => {
    const { status, stdout } = await typevisor([...command.filter((word) => word !== ""), "--help"]);
    expect(stdout).toMatch(/^Usage: typevisor/);
    expect(status).toBe(0);
  },
);

test("--debug-exit at another device's port is refused in words", async () => {
  const { status, stderr } = await typevisor(["run", "--machine", "qemu-tcg", "--debug-exit", "0x3f8"]);
  expect(stderr).toContain(
    "error: vm0: the debug-exit port 0x3f8 belongs to another device of the VM. Choose",
  );
  expect(status).toBe(STATUS_BAD_VM);
}, 300_000);
