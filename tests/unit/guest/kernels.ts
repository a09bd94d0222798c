// Kernel images for loader tests, made from the formats' documents: whole ones, and their fields to break.

/** Where the fields of a bzImage's setup header are (Linux, "The Linux/x86 Boot Protocol"). */
export const BZIMAGE = {
  setupSects: 0x1f1,
  syssize: 0x1f4,
  bootFlag: 0x1fe,
  jump: 0x200,
  magic: 0x202,
  version: 0x206,
  typeOfLoader: 0x210,
  loadflags: 0x211,
  code32Start: 0x214,
  ramdiskImage: 0x218,
  ramdiskSize: 0x21c,
  cmdLine: 0x228,
  initrdMax: 0x22c,
  alignment: 0x230,
  relocatable: 0x234,
  xloadflags: 0x236,
  cmdlineSize: 0x238,
  prefAddress: 0x258,
  initSize: 0x260,
} as const;

export interface BzimageOptions {
  setupSects?: number;
  payload?: number;
  prefAddress?: number;
  initSize?: number;
  relocatable?: number;
  initrdMax?: number;
}

/** A bzImage of protocol 2.15 whose payload is a pattern. */
export function bzimage(options: BzimageOptions = {}): Uint8Array {
  const {
    setupSects = 2,
    payload = 4096,
    prefAddress = 0x100000,
    initSize = 0x8000,
    relocatable = 1,
  } = options;
  const setup = (setupSects + 1) * 512;
  const bytes = new Uint8Array(setup + payload);
  const view = new DataView(bytes.buffer);
  bytes[BZIMAGE.setupSects] = setupSects;
  view.setUint32(BZIMAGE.syssize, payload / 16, true);
  view.setUint16(BZIMAGE.bootFlag, 0xaa55, true);
  view.setUint16(BZIMAGE.jump, 0x6aeb, true);
  bytes.set(new TextEncoder().encode("HdrS"), BZIMAGE.magic);
  view.setUint16(BZIMAGE.version, 0x020f, true);
  bytes[BZIMAGE.loadflags] = 1;
  view.setUint32(BZIMAGE.code32Start, 0x100000, true);
  view.setUint32(BZIMAGE.initrdMax, options.initrdMax ?? 0x7fffffff, true);
  view.setUint32(BZIMAGE.alignment, 0x200000, true);
  bytes[BZIMAGE.relocatable] = relocatable;
  view.setUint16(BZIMAGE.xloadflags, 3, true);
  view.setUint32(BZIMAGE.cmdlineSize, 2047, true);
  view.setBigUint64(BZIMAGE.prefAddress, BigInt(prefAddress), true);
  view.setUint32(BZIMAGE.initSize, initSize, true);
  for (let i = 0; i < payload; i++) bytes[setup + i] = (i * 7 + 3) & 0xff;
  return bytes;
}

export interface ElfSegment {
  type: number;
  offset: number;
  address: number;
  contents: Uint8Array;
  memoryBytes?: number;
}

const PT_LOAD = 1;
const PT_NOTE = 4;

/** An ELF executable with these program headers; segment contents at their offsets. */
export function elf(bits: 32 | 64, entry: number, segments: ElfSegment[]): Uint8Array {
  const header = bits === 64 ? 64 : 52;
  const entryBytes = bits === 64 ? 56 : 32;
  const end = Math.max(
    ...segments.map((s) => s.offset + s.contents.length),
    header + entryBytes * segments.length,
  );
  const bytes = new Uint8Array(end);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, bits === 64 ? 62 : 3, true);
  view.setUint32(20, 1, true);
  if (bits === 64) {
    view.setBigUint64(24, BigInt(entry), true);
    view.setBigUint64(32, BigInt(header), true);
    [0, header, entryBytes, segments.length].forEach((value, i) => view.setUint16(50 + i * 2, value, true));
  } else {
    view.setUint32(24, entry, true);
    view.setUint32(28, header, true);
    [header, entryBytes, segments.length].forEach((value, i) => view.setUint16(40 + i * 2, value, true));
  }
  segments.forEach((segment, i) => putSegment(view, bits, header + i * entryBytes, segment));
  for (const segment of segments) bytes.set(segment.contents, segment.offset);
  return bytes;
}

function putSegment(view: DataView, bits: 32 | 64, at: number, s: ElfSegment): void {
  const memoryBytes = s.memoryBytes ?? s.contents.length;
  view.setUint32(at, s.type, true);
  if (bits === 32) {
    [s.offset, s.address, s.address, s.contents.length, memoryBytes, 7, 0x1000].forEach((value, i) =>
      view.setUint32(at + 4 + i * 4, value, true),
    );
    return;
  }
  view.setUint32(at + 4, 7, true);
  [s.offset, s.address, s.address, s.contents.length, memoryBytes, 0x1000].forEach((value, i) =>
    view.setBigUint64(at + 8 + i * 8, BigInt(value), true),
  );
}

export function load(
  offset: number,
  address: number,
  contents: Uint8Array,
  memoryBytes?: number,
): ElfSegment {
  return { type: PT_LOAD, offset, address, contents, memoryBytes };
}

/** A note segment: one of another owner, then Xen's PHYS32_ENTRY. */
export function pvhNote(offset: number, entry: number): ElfSegment {
  const contents = new Uint8Array(12 + 4 + 20 + 12 + 4 + 4);
  const view = new DataView(contents.buffer);
  [4, 20, 3].forEach((value, i) => view.setUint32(i * 4, value, true));
  contents.set(new TextEncoder().encode("GNU\0"), 12);
  [4, 4, 18].forEach((value, i) => view.setUint32(36 + i * 4, value, true));
  contents.set(new TextEncoder().encode("Xen\0"), 48);
  view.setUint32(52, entry, true);
  return { type: PT_NOTE, offset, address: 0, contents };
}

/** Words of a multiboot header; `addresses`: header, load, load end, bss end, entry. */
export function multibootHeader(flags: number, addresses: number[] = []): Uint8Array {
  const words = [0x1badb002, flags, -(0x1badb002 + flags), ...addresses];
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => new DataView(bytes.buffer).setUint32(i * 4, word >>> 0, true));
  return bytes;
}
