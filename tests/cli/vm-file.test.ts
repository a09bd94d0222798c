import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { wholeFromOne } from "../../tools/lib/whole-number.ts";
import { readVmFile } from "../../tools/vm/file.ts";
import { MAX_VCPUS_PER_VM } from "../../tools/vm/limits.ts";

const directory = mkdtempSync(join(tmpdir(), "typevisor-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

function write(content: unknown): string {
  const path = join(directory, "debian.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const boot = { kernel_image_path: "vmlinuz" };
const machine = { vcpu_count: 1, mem_size_mib: 256 };

/** The words of the error that a file causes, without the path that each line begins with. */
function complaint(content: unknown): string[] {
  const path = write(content);
  try {
    readVmFile(path);
  } catch (error) {
    const lines = (error as Error).message.split("\n");
    expect(lines.pop()).toMatch(/Firecracker/);
    return lines.map((line) => {
      expect(line.startsWith(`${path}: `)).toBe(true);
      return line.slice(path.length + 2);
    });
  }
  throw new Error("the file was accepted");
}

test("a whole file, with paths relative to it", () => {
  const file = write({
    "boot-source": {
      kernel_image_path: "vmlinuz",
      initrd_path: "/boot/initrd",
      boot_args: "console=ttyS0 quiet",
    },
    "machine-config": { ...machine, smt: false, track_dirty_pages: false },
    drives: [],
    "network-interfaces": [],
  });
  expect(readVmFile(file)).toEqual({
    name: "debian",
    kernel: join(directory, "vmlinuz"),
    initrd: "/boot/initrd",
    bootArgs: "console=ttyS0 quiet",
    memoryBytes: 256 << 20,
    cpus: 1,
    restart: true,
  });
});

test("Firecracker's defaults and nulls", () => {
  const file = write({ "boot-source": { ...boot, initrd_path: null, boot_args: null }, logger: null });
  expect(readVmFile(file)).toMatchObject({
    initrd: undefined,
    bootArgs: "",
    memoryBytes: 128 << 20,
    cpus: 1,
  });
});

test("a byte-order mark before the JSON is no part of it", () => {
  const file = write(`\ufeff${JSON.stringify({ "boot-source": boot })}`);
  expect(readVmFile(file).kernel).toBe(join(directory, "vmlinuz"));
});

test("a range of one number is that number", () => {
  expect([wholeFromOne(1), wholeFromOne(4)]).toEqual(["1", "a whole number from 1 to 4"]);
});

test.each<[string, unknown, string[]]>([
  [
    "no boot-source",
    {},
    ["boot-source: is missing; expected an object with kernel_image_path, initrd_path and boot_args."],
  ],
  [
    "no kernel",
    { "boot-source": {} },
    ["boot-source.kernel_image_path: expected the path of a bzImage or ELF kernel, as a string."],
  ],
  [
    "a kernel of the wrong type",
    { "boot-source": { kernel_image_path: 7 } },
    ["boot-source.kernel_image_path: expected the path of a bzImage or ELF kernel, as a string."],
  ],
  [
    "memory as text",
    { "boot-source": boot, "machine-config": { ...machine, mem_size_mib: "256M" } },
    ["machine-config.mem_size_mib: expected a whole number of MiB."],
  ],
  [
    "no memory",
    { "boot-source": boot, "machine-config": { vcpu_count: 1 } },
    ["machine-config.mem_size_mib: expected a whole number of MiB."],
  ],
  [
    "half a CPU",
    { "boot-source": boot, "machine-config": { ...machine, vcpu_count: 0.5 } },
    [`machine-config.vcpu_count: expected ${wholeFromOne(MAX_VCPUS_PER_VM)}.`],
  ],
  ["an unknown key", { "boot-source": boot, drive: [] }, ["drive: unknown key."]],
  [
    "an unknown key inside",
    { "boot-source": { ...boot, initrd: "x" } },
    ["boot-source.initrd: unknown key."],
  ],
  [
    "drives",
    { "boot-source": boot, drives: [{ drive_id: "rootfs" }] },
    ["drives: is not supported yet; leave it out, or give an empty list."],
  ],
  [
    "networks",
    { "boot-source": boot, "network-interfaces": [{}] },
    ["network-interfaces: is not supported yet; leave it out, or give an empty list."],
  ],
  ["a vsock", { "boot-source": boot, vsock: {} }, ["vsock: is not supported yet; leave it out."]],
  ["a list", [], ["the file: expected a JSON object with boot-source and machine-config."]],
  [
    "two mistakes",
    { "boot-source": 1, x: 2 },
    ["boot-source: expected an object with kernel_image_path, initrd_path and boot_args.", "x: unknown key."],
  ],
])("%s is refused by name", (_name, content, expected) => {
  expect(complaint(content)).toEqual(expected);
});

test("broken JSON and missing files are named", () => {
  expect(() => readVmFile(write("{"))).toThrow(/debian\.json: this VM file is not valid JSON: .*position/);
  expect(() => readVmFile(join(directory, "none.json"))).toThrow(
    /none\.json: cannot read this VM file: no such file or directory\.$/,
  );
});
