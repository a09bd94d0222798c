import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { inspectInitrd, inspectKernel, requireMemory } from "../../tools/vm/images.ts";

const directory = mkdtempSync(join(tmpdir(), "typevisor-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

const path = join(directory, "kernel");
function inspect(content: Uint8Array) {
  writeFileSync(path, content);
  return inspectKernel(path);
}

/** A bzImage header: 1 setup sector after the boot sector, `paragraphs` of 16 bytes behind. */
function bzImage(change: (image: Buffer) => void = () => {}, paragraphs = 64): Buffer {
  const image = Buffer.alloc(2 * 512 + paragraphs * 16);
  image[0x1f1] = 1;
  image.writeUInt32LE(paragraphs, 0x1f4);
  image.writeUInt16LE(0xaa55, 0x1fe);
  image.write("HdrS", 0x202, "latin1");
  image.writeUInt16LE(0x020f, 0x206);
  image[0x211] = 1;
  image.writeUInt32LE(0x10_0000, 0x214);
  image.writeUInt16LE(0x0001, 0x236);
  image.writeBigUInt64LE(0x100_0000n, 0x258);
  image.writeUInt32LE(0x200_0000, 0x260);
  change(image);
  return image;
}

/** An ELF with one loadable segment of `bytes` bytes for physical address 1 MiB. */
function elf(wide: boolean, bytes: number, machine = wide ? 62 : 3): Buffer {
  const header = wide ? 64 : 52;
  const entry = wide ? 56 : 32;
  const file = Buffer.alloc(header + entry + bytes);
  file.write("\x7fELF", 0, "latin1");
  file[4] = wide ? 2 : 1;
  file.writeUInt16LE(machine, 18);
  file.writeUInt16LE(entry, wide ? 54 : 42);
  file.writeUInt16LE(1, wide ? 56 : 44);
  file.writeUInt32LE(1, header);
  if (wide) {
    file.writeBigUInt64LE(64n, 32);
    const words = [BigInt(header + entry), 0n, 0x10_0000n, BigInt(bytes), 0x20_0000n];
    for (const [index, word] of words.entries()) file.writeBigUInt64LE(word, header + 8 + index * 8);
  } else {
    file.writeUInt32LE(52, 28);
    const words = [header + entry, 0, 0x10_0000, bytes, 0x20_0000];
    for (const [index, word] of words.entries()) file.writeUInt32LE(word, header + 4 + index * 4);
  }
  return file;
}

test("a bzImage says how much memory it needs", () => {
  expect(inspect(bzImage())).toEqual({ format: "bzImage", fileBytes: 2048, minimumMemory: 0x300_0000 });
});

test("a 32-bit bzImage is taken, and one of an old protocol needs what it loads", () => {
  const narrow = bzImage((image) => image.fill(0, 0x236, 0x238));
  expect(inspect(narrow)).toMatchObject({ format: "bzImage", minimumMemory: 0x300_0000 });
  const old = bzImage((image) => image.writeUInt16LE(0x0209, 0x206));
  expect(inspect(old)).toMatchObject({ minimumMemory: 0x10_0000 + 1024 });
});

test("a bzImage with a real-mode entry only is one of its own kind", () => {
  expect(inspect(bzImage((image) => image.fill(0, 0x214, 0x238))).format).toBe("real-mode bzImage");
});

test("the last 16 bytes of a bzImage need not be whole", () => {
  expect(inspect(bzImage().subarray(0, 2048 - 15))).toMatchObject({ fileBytes: 2033 });
  expect(() => inspect(bzImage().subarray(0, 2048 - 16))).toThrow(/truncated/);
});

test.each([true, false])("an ELF kernel says how much memory it needs (64 bits: %s)", (wide) => {
  expect(inspect(elf(wide, 100))).toMatchObject({
    format: wide ? "ELF64" : "ELF32",
    minimumMemory: 0x30_0000,
  });
});

test.each<[string, Uint8Array, RegExp]>([
  ["an empty file", Buffer.alloc(0), /this kernel file is empty/],
  ["text", Buffer.from("#!/bin/sh\n"), /neither a bzImage nor an ELF kernel.*Give a Linux bzImage/],
  ["a gzip file", gzipSync("x"), /It is gzip-compressed: unpack it with `gunzip` first/],
  [
    "a truncated bzImage",
    bzImage().subarray(0, 1500),
    /truncated: its headers describe at least 2033 bytes, the file has 1500/,
  ],
  [
    "a bzImage without boot flag",
    bzImage((image) => image.fill(0, 0x1fe, 0x200)),
    /boot flag at offset 0x1fe/,
  ],
  [
    "an old bzImage",
    bzImage((image) => image.writeUInt16LE(0x0201, 0x206)),
    /boot protocol 2\.01\) is too old, or a zImage/,
  ],
  [
    "a truncated ELF",
    elf(true, 100).subarray(0, 160),
    /truncated: its headers describe at least 220 bytes, the file has 160/,
  ],
  ["an ELF header alone", elf(false, 0).subarray(0, 40), /truncated/],
  ["an ARM ELF", elf(true, 10, 183), /for another processor \(e_machine 183\)/],
])("%s is refused", (_name, content, words) => {
  expect(() => inspect(content)).toThrow(words);
  expect(() => inspect(content)).toThrow(path);
});

test("missing files, folders and empty initrds are named", () => {
  expect(() => inspectKernel(join(directory, "none"))).toThrow(
    /none: cannot open the kernel: no such file or directory/,
  );
  expect(() => inspectKernel(directory)).toThrow(/the kernel is not a regular file/);
  writeFileSync(path, "");
  expect(() => inspectInitrd(path)).toThrow(/this initrd file is empty/);
});

test("memory must hold kernel and initrd", () => {
  const kernel = inspect(bzImage());
  expect(() => requireMemory(path, kernel, 0, 0x300_0000)).not.toThrow();
  expect(() => requireMemory(path, kernel, 1 << 20, 0x300_0000)).toThrow(
    /48 MiB of guest memory is too small: .* at least 49 MiB, 1 MiB of it for the initrd/,
  );
});
