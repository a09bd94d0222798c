// Checks on guest kernels and initrds before a machine is started for them: what the file is, that it is whole, and how
// much memory it needs. The hypervisor checks again; here the words can be better.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { formatSize, MIB } from "../lib/size.ts";
import { systemErrorText, UserError } from "../lib/user-error.ts";

/** Offsets in the setup header of a bzImage (Linux, "The Linux/x86 Boot Protocol"). */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const BOOT_FLAG = 0x1fe;
const HEADER = 0x202;
const VERSION = 0x206;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const XLOADFLAGS = 0x236;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
const SETUP_HEADER_END = 0x268;

/** The oldest boot protocol whose kernels are started; those that introduced pref_address and init_size, and xloadflags. */
const PROTOCOL_2_02 = 0x0202;
const PROTOCOL_2_10 = 0x020a;
const PROTOCOL_2_12 = 0x020c;
const XLF_KERNEL_64 = 1;
const LOADED_HIGH = 1;
/** Bytes of a unit of syssize; the last one may be begun only. */
const PARAGRAPH = 16;

const ELF_CLASS_64 = 2;
const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;

export interface KernelImage {
  format: "bzImage" | "real-mode bzImage" | "ELF64" | "ELF32";
  fileBytes: number;
  /** Guest memory below which the kernel cannot unpack itself, bytes, initrd not counted. */
  minimumMemory: number;
}

/** How other files begin that are easily taken for a kernel, and what to do about it. */
const LOOKALIKES: [magic: number[], advice: string][] = [
  [[0x1f, 0x8b], "It is gzip-compressed: unpack it with `gunzip` first"],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "It is xz-compressed: unpack it with `unxz` first"],
  [[0x28, 0xb5, 0x2f, 0xfd], "It is zstd-compressed: unpack it with `unzstd` first"],
  [
    [0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e],
    "It is a Debian package: unpack it with `dpkg-deb -x` and use boot/vmlinuz-*",
  ],
  [[0x30, 0x37, 0x30, 0x37, 0x30], "It is a cpio archive: perhaps the initrd, given as the kernel"],
];

/** Checks that `path` is a whole kernel image of a known format. @throws UserError that says what is wrong with it. */
export function inspectKernel(path: string): KernelImage {
  return withFile(path, "kernel", (read, size) => {
    if (size === 0) throw new UserError(`${path}: this kernel file is empty.`);
    const head = read(0, Math.min(size, 4096));
    if (head.length >= 4 && head.readUInt32BE(0) === 0x7f454c46) return inspectElf(path, head, read, size);
    if (head.length >= SETUP_HEADER_END && head.toString("latin1", HEADER, HEADER + 4) === "HdrS") {
      return inspectBzImage(path, head, size);
    }
    const lookalike = LOOKALIKES.find(([magic]) => magic.every((byte, at) => head[at] === byte));
    throw new UserError(
      `${path}: this is neither a bzImage nor an ELF kernel (no "HdrS" at offset 0x202, no ELF magic). ` +
        `${lookalike ? lookalike[1] : "Give a Linux bzImage (vmlinuz), a PVH ELF or a multiboot ELF32"}.`,
    );
  });
}

function inspectBzImage(path: string, head: Buffer, size: number): KernelImage {
  if (head.readUInt16LE(BOOT_FLAG) !== 0xaa55) {
    throw new UserError(
      `${path}: damaged bzImage: the boot flag at offset 0x1fe is not 0xAA55. Fetch the file again.`,
    );
  }
  const version = head.readUInt16LE(VERSION);
  if (version < PROTOCOL_2_02 || ((head[LOADFLAGS] as number) & LOADED_HIGH) === 0) {
    const number = `${version >> 8}.${(version & 0xff).toString().padStart(2, "0")}`;
    throw new UserError(
      `${path}: this kernel (boot protocol ${number}) is too old, or a zImage: its 32-bit code does not load at 1 MiB. ` +
        "Typevisor needs a bzImage, Linux 2.4 or newer.",
    );
  }
  const setupBytes = ((head[SETUP_SECTS] || 4) + 1) * 512;
  const paragraphs = head.readUInt32LE(SYSSIZE);
  requireWhole(path, setupBytes + paragraphs * PARAGRAPH - (paragraphs === 0 ? 0 : PARAGRAPH - 1), size);
  const minimumMemory =
    version < PROTOCOL_2_10
      ? MIB + size - setupBytes
      : Number(head.readBigUInt64LE(PREF_ADDRESS)) + head.readUInt32LE(INIT_SIZE);
  // iPXE and its like: what they are told is no kernel's command line.
  const isRealMode = !hasLongEntry(head) && head.readUInt32LE(CODE32_START) === 0;
  return { format: isRealMode ? "real-mode bzImage" : "bzImage", fileBytes: size, minimumMemory };
}

function hasLongEntry(head: Buffer): boolean {
  return head.readUInt16LE(VERSION) >= PROTOCOL_2_12 && (head.readUInt16LE(XLOADFLAGS) & XLF_KERNEL_64) !== 0;
}

function inspectElf(path: string, head: Buffer, read: Reader, size: number): KernelImage {
  const wide = head[4] === ELF_CLASS_64;
  requireWhole(path, wide ? 64 : 52, size);
  const machine = head.readUInt16LE(18);
  if (machine !== (wide ? EM_X86_64 : EM_386) && machine !== EM_X86_64) {
    throw new UserError(
      `${path}: this ELF file is for another processor (e_machine ${machine}). Give an x86 kernel.`,
    );
  }
  const table = wide ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
  const entrySize = head.readUInt16LE(wide ? 54 : 42);
  const count = head.readUInt16LE(wide ? 56 : 44);
  if (count === 0 || entrySize < (wide ? 56 : 32)) {
    throw new UserError(
      `${path}: this ELF file has no program headers: it is not an executable kernel (an object file?).`,
    );
  }
  requireWhole(path, table + entrySize * count, size);
  const headers = read(table, entrySize * count);
  let minimumMemory = 0;
  for (let index = 0; index < count; index++) {
    const segment = readSegment(headers, index * entrySize, wide);
    if (segment.type !== PT_LOAD) continue;
    requireWhole(path, segment.offset + segment.fileBytes, size);
    minimumMemory = Math.max(minimumMemory, segment.address + segment.memoryBytes);
  }
  return { format: wide ? "ELF64" : "ELF32", fileBytes: size, minimumMemory };
}

function readSegment(headers: Buffer, at: number, wide: boolean) {
  const word = (narrowOffset: number, wideOffset: number) =>
    wide ? Number(headers.readBigUInt64LE(at + wideOffset)) : headers.readUInt32LE(at + narrowOffset);
  return {
    type: headers.readUInt32LE(at),
    offset: word(4, 8),
    address: word(12, 24),
    fileBytes: word(16, 32),
    memoryBytes: word(20, 40),
  };
}

function requireWhole(path: string, needed: number, size: number): void {
  if (size >= needed) return;
  throw new UserError(
    `${path}: this kernel is truncated: its headers describe at least ${needed} bytes, the file has ${size}. Fetch it again.`,
  );
}

/** Checks that `path` is a readable, non-empty file. Returns its bytes. */
export function inspectInitrd(path: string): number {
  return withFile(path, "initrd", (_read, size) => {
    if (size === 0) throw new UserError(`${path}: this initrd file is empty.`);
    return size;
  });
}

/** Checks that kernel and initrd fit into `memoryBytes` of guest memory. */
export function requireMemory(
  kernelPath: string,
  kernel: KernelImage,
  initrdBytes: number,
  memoryBytes: number,
): void {
  const needed = kernel.minimumMemory + initrdBytes;
  if (memoryBytes >= needed) return;
  const parts = initrdBytes === 0 ? "" : `, ${formatSize(initrdBytes)} of it for the initrd`;
  throw new UserError(
    `${formatSize(memoryBytes)} of guest memory is too small: ${kernelPath} needs at least ` +
      `${formatSize(needed)}${parts}. Raise --memory (or mem_size_mib in the VM file).`,
  );
}

type Reader = (offset: number, bytes: number) => Buffer;

function withFile<T>(path: string, role: string, use: (read: Reader, size: number) => T): T {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw new UserError(`${path}: cannot open the ${role}: ${systemErrorText(error)}.`);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new UserError(`${path}: the ${role} is not a regular file.`);
    const read: Reader = (offset, bytes) => {
      const buffer = Buffer.alloc(bytes);
      return buffer.subarray(0, readSync(descriptor, buffer, 0, bytes, offset));
    };
    return use(read, stat.size);
  } finally {
    closeSync(descriptor);
  }
}
