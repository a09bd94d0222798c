// ELF executables, 32 and 64 bits, as PVH and multiboot kernels come. Source: System V ABI, "Object Files".
import { arenaNewWithTail } from "../../lib/arena";
import { logDecimal, logHex, logText } from "../../lib/log";
import { tailItem } from "../../lib/tail";
import { problem, problemBytes, problemEnd, problemStart } from "../problem";
import { GuestModule, Vm } from "../vm";
import { clearMemory, image16, image32, image64, image8, imageCopy, imageHolds } from "./image";
import { logPlaced, placeAt } from "./placement";

const MAGIC: u32 = 0x464c457f;
const CLASS_32: u32 = 1;
const CLASS_64: u32 = 2;
const LITTLE_ENDIAN: u32 = 1;
const EM_386: u32 = 3;
const EM_X86_64: u32 = 62;
const HEADER_32: u64 = 52;
const HEADER_64: u64 = 64;
const PROGRAM_HEADER_32: u32 = 32;
const PROGRAM_HEADER_64: u32 = 56;
/** Program headers that a kernel may have. */
const MAX_PROGRAM_HEADERS: u32 = 64;

export const PT_LOAD: u32 = 1;
export const PT_NOTE: u32 = 4;

/** What the header of a VM's kernel says, once `elfOpen` has accepted it. Ends in the program header read last. */
@unmanaged
export class ElfHeader {
  entry: u64;
  programHeaders: u64;
  count: u32;
  entryBytes: u32;
  is64: bool;
}

/** One program header. */
@unmanaged
export class Segment {
  type: u32;
  offset: u64;
  address: u64;
  fileBytes: u64;
  memoryBytes: u64;
}

/** A VM's; boot time only. */
export function elfNew(): ElfHeader {
  return arenaNewWithTail<ElfHeader>(offsetof<Segment>());
}

/** Whether the file claims to be an ELF. */
export function elfProbe(image: GuestModule): bool {
  return image32(image, 0) == MAGIC;
}

/** Reads and checks the header and the extent of the program headers. False: the log says what is wrong. */
export function elfOpen(vm: Vm): bool {
  const image = vm.kernel;
  const header = vm.elf;
  const kind = image8(image, 4);
  const is64 = kind == CLASS_64;
  if (!imageHolds(image, 0, is64 ? HEADER_64 : HEADER_32)) return truncated(vm, is64 ? HEADER_64 : HEADER_32);
  const machine = image16(image, 18);
  const machineFits = is64 ? machine == EM_X86_64 : machine == EM_386 || machine == EM_X86_64;
  if ((kind != CLASS_32 && !is64) || image8(image, 5) != LITTLE_ENDIAN || !machineFits) {
    return problem(vm, "its kernel is an ELF for another kind of processor", "Build it for x86 or x86-64");
  }
  header.is64 = is64;
  header.entry = is64 ? image64(image, 24) : image32(image, 24);
  header.programHeaders = is64 ? image64(image, 32) : image32(image, 28);
  header.entryBytes = image16(image, is64 ? 54 : 42);
  header.count = image16(image, is64 ? 56 : 44);
  const smallest = is64 ? PROGRAM_HEADER_64 : PROGRAM_HEADER_32;
  if (header.entryBytes < smallest || header.count == 0) {
    return problem(vm, "its kernel is an ELF without program headers", "Link it as an executable");
  }
  if (header.count > MAX_PROGRAM_HEADERS) {
    return problem(
      vm,
      "its kernel is an ELF with more than 64 program headers",
      "Link it with fewer segments",
    );
  }
  const bytes = <u64>header.count * header.entryBytes;
  if (imageHolds(image, header.programHeaders, bytes)) return true;
  return truncated(vm, header.programHeaders + bytes);
}

/** The file ends before `needed`. */
function truncated(vm: Vm, needed: u64): bool {
  problemStart(vm);
  logText("its kernel is a truncated ELF: the headers speak of ");
  problemBytes(needed);
  logText(", the file has ");
  problemBytes(vm.kernel.bytes);
  return problemEnd("Fetch or build the file again, whole");
}

/** Program header `index`, below `vm.elf.count`; valid until the next call for this VM. */
export function elfSegment(vm: Vm, index: u32): Segment {
  const image = vm.kernel;
  const header = vm.elf;
  const segment = tailItem<ElfHeader, Segment>(header, 0);
  const at = header.programHeaders + <u64>index * header.entryBytes;
  segment.type = image32(image, at);
  if (header.is64) {
    segment.offset = image64(image, at + 8);
    segment.address = image64(image, at + 24);
    segment.fileBytes = image64(image, at + 32);
    segment.memoryBytes = image64(image, at + 40);
  } else {
    segment.offset = image32(image, at + 4);
    segment.address = image32(image, at + 12);
    segment.fileBytes = image32(image, at + 16);
    segment.memoryBytes = image32(image, at + 20);
  }
  return segment;
}

/** Puts every loadable segment at its physical address, the rest of each zeroed. False: the log says why not. */
export function elfLoadSegments(vm: Vm): bool {
  let loaded: u32 = 0;
  for (let i: u32 = 0; i < vm.elf.count; i++) {
    const s = elfSegment(vm, i);
    if (s.type != PT_LOAD || s.memoryBytes == 0) continue;
    if (!loadSegment(vm, i, s)) return false;
    loaded += 1;
  }
  if (loaded != 0) return true;
  return problem(vm, "its kernel is an ELF with nothing to load", "Link it with loadable segments");
}

function loadSegment(vm: Vm, index: u32, s: Segment): bool {
  if (!imageHolds(vm.kernel, s.offset, s.fileBytes))
    return truncated(vm, saturatedSum(s.offset, s.fileBytes));
  const wrong =
    s.fileBytes > s.memoryBytes
      ? "has more bytes in the file than in memory"
      : placeAt(vm, s.address, s.memoryBytes);
  if (wrong !== null) {
    problemStart(vm);
    logText("segment ");
    logDecimal(index);
    logText(" of its kernel, at ");
    logHex(s.address);
    logText(", ");
    problemBytes(s.memoryBytes);
    logText(", ");
    logText(wrong);
    return problemEnd("Link the kernel for free memory, such as from 1 MiB on, or give the VM more");
  }
  imageCopy(vm, vm.kernel, s.offset, s.address, s.fileBytes);
  const rest = s.memoryBytes - s.fileBytes;
  clearMemory(vm, s.address + s.fileBytes, rest);
  logPlaced("kernel segment", s.address, s.memoryBytes);
  return true;
}

function saturatedSum(a: u64, b: u64): u64 {
  return a > U64.MAX_VALUE - b ? U64.MAX_VALUE : a + b;
}
