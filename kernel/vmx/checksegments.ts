// Rules that VM entry checks about the guest's segment registers (SDM volume 3, "Checks on Guest Segment Registers").
import { CR0_PE, RFLAGS_VM } from "../arch/cr";
import { vmread } from "../arch/intrinsics";
import {
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SEGMENT_CODE_OR_DATA,
  SEGMENT_DEFAULT_BIG,
  SEGMENT_DPL_SHIFT,
  SEGMENT_GRANULARITY,
  SEGMENT_LONG,
  SEGMENT_PRESENT,
  SEGMENT_TYPE_MASK,
  SEGMENT_UNUSABLE,
} from "../vcpu/registers";
import { ENTRYC_IA32E_GUEST, SECONDARY_UNRESTRICTED_GUEST } from "./controls";
import {
  ENTRY_CONTROLS,
  GUEST_CR0,
  GUEST_ES_ACCESS,
  GUEST_ES_BASE,
  GUEST_ES_LIMIT,
  GUEST_ES_SELECTOR,
  GUEST_RFLAGS,
  SECONDARY_CONTROLS,
} from "./fields";
import { isCanonical } from "./validity";
import { rule } from "../vcpu/violations";

/** Access rights in virtual-8086 mode: present, DPL 3, data read/write accessed. */
const ACCESS_VM86: u32 = 0xf3;
const VM86_LIMIT: u32 = 0xffff;
const SELECTOR_TI: u32 = 1 << 2;
const RPL_MASK: u32 = 3;
/** Access rights: bits 11..8 and 31..17. */
const ACCESS_RESERVED: u32 = 0xfffe0f00;

const TYPE_ACCESSED: u32 = 1;
const TYPE_READABLE: u32 = 2;
const TYPE_CONFORMING: u32 = 4;
const TYPE_CODE: u32 = 8;
const TYPE_DATA_RW_ACCESSED: u32 = 3;
const TYPE_LDT: u32 = 2;
const TYPE_TSS16_BUSY: u32 = 3;
const TYPE_TSS_BUSY: u32 = 11;

function selector(index: u32): u32 {
  return <u32>vmread(GUEST_ES_SELECTOR + 2 * index);
}

function base(index: u32): u64 {
  return vmread(GUEST_ES_BASE + 2 * index);
}

function limit(index: u32): u32 {
  return <u32>vmread(GUEST_ES_LIMIT + 2 * index);
}

function access(index: u32): u32 {
  return <u32>vmread(GUEST_ES_ACCESS + 2 * index);
}

function usable(index: u32): bool {
  return (access(index) & SEGMENT_UNUSABLE) == 0;
}

function typeOf(index: u32): u32 {
  return access(index) & SEGMENT_TYPE_MASK;
}

function dpl(index: u32): u32 {
  return (access(index) >> SEGMENT_DPL_SHIFT) & 3;
}

function unrestricted(): bool {
  return (vmread(SECONDARY_CONTROLS) & SECONDARY_UNRESTRICTED_GUEST) != 0;
}

function checkSelectors(vm86: bool): void {
  rule((selector(SEG_TR) & SELECTOR_TI) == 0, "guest TR: selector's TI is 0");
  rule(!usable(SEG_LDTR) || (selector(SEG_LDTR) & SELECTOR_TI) == 0, "guest LDTR: selector's TI is 0");
  const sameRpl = (selector(SEG_SS) & RPL_MASK) == (selector(SEG_CS) & RPL_MASK);
  rule(vm86 || unrestricted() || sameRpl, "guest SS: selector's RPL is CS's, without unrestricted guest");
}

function checkBases(): void {
  rule(isCanonical(base(SEG_TR)), "guest TR base is canonical");
  rule(isCanonical(base(SEG_FS)), "guest FS base is canonical");
  rule(isCanonical(base(SEG_GS)), "guest GS base is canonical");
  rule(!usable(SEG_LDTR) || isCanonical(base(SEG_LDTR)), "guest LDTR base is canonical");
  rule(base(SEG_CS) >> 32 == 0, "guest CS base: bits 63 to 32 are 0");
  rule(!usable(SEG_SS) || base(SEG_SS) >> 32 == 0, "guest SS base: bits 63 to 32 are 0");
  rule(!usable(SEG_DS) || base(SEG_DS) >> 32 == 0, "guest DS base: bits 63 to 32 are 0");
  rule(!usable(SEG_ES) || base(SEG_ES) >> 32 == 0, "guest ES base: bits 63 to 32 are 0");
}

function checkVm86(): void {
  for (let i: u32 = SEG_ES; i <= SEG_GS; i++) {
    rule(base(i) == (<u64>selector(i)) << 4, "virtual-8086 guest: a segment's base is its selector times 16");
    rule(limit(i) == VM86_LIMIT, "virtual-8086 guest: a segment's limit is 0xffff");
    rule(access(i) == ACCESS_VM86, "virtual-8086 guest: a segment's access rights are 0xf3");
  }
}

/** Granularity follows the limit: bytes only up to 1 MiB, pages only for whole pages. */
function limitFits(index: u32): bool {
  const pages = (access(index) & SEGMENT_GRANULARITY) != 0;
  const length = limit(index);
  return pages ? (length & 0xfff) == 0xfff : length >> 20 == 0;
}

/** What every usable segment obeys. */
function checkCommon(index: u32, present: string, reserved: string, granularity: string): void {
  rule((access(index) & SEGMENT_PRESENT) != 0, present);
  rule((access(index) & ACCESS_RESERVED) == 0, reserved);
  rule(limitFits(index), granularity);
}

function checkCode(longMode: bool): void {
  const rights = access(SEG_CS);
  const type = typeOf(SEG_CS);
  const code = (type & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED);
  const data = type == TYPE_DATA_RW_ACCESSED;
  rule(
    code || (data && unrestricted()),
    "guest CS: type is accessed code (or read/write data for an unrestricted guest)",
  );
  rule((rights & SEGMENT_CODE_OR_DATA) != 0, "guest CS: S is 1");
  rule(!data || dpl(SEG_CS) == 0, "guest CS: DPL is 0 when its type is data");
  rule(
    !code || (type & TYPE_CONFORMING) != 0 || dpl(SEG_CS) == dpl(SEG_SS),
    "guest CS: DPL is SS's for non-conforming code",
  );
  rule(
    !code || (type & TYPE_CONFORMING) == 0 || dpl(SEG_CS) <= dpl(SEG_SS),
    "guest CS: DPL is at most SS's for conforming code",
  );
  const both = (rights & SEGMENT_LONG) != 0 && (rights & SEGMENT_DEFAULT_BIG) != 0;
  rule(!longMode || !both, "guest CS: D is 0 when L is 1");
  checkCommon(
    SEG_CS,
    "guest CS: present",
    "guest CS: reserved access rights are 0",
    "guest CS: G agrees with the limit",
  );
}

function checkStack(): void {
  const realMode = (vmread(GUEST_CR0) & CR0_PE) == 0;
  const sameRpl = dpl(SEG_SS) == (selector(SEG_SS) & RPL_MASK);
  rule(unrestricted() || sameRpl, "guest SS: DPL is the selector's RPL, without unrestricted guest");
  const mustBeZero = realMode || typeOf(SEG_CS) == TYPE_DATA_RW_ACCESSED;
  rule(!mustBeZero || dpl(SEG_SS) == 0, "guest SS: DPL is 0 in real mode and when CS's type is data");
  if (!usable(SEG_SS)) return;
  const type = typeOf(SEG_SS);
  rule(type == TYPE_DATA_RW_ACCESSED || type == 7, "guest SS: type is accessed read/write data");
  rule((access(SEG_SS) & SEGMENT_CODE_OR_DATA) != 0, "guest SS: S is 1");
  checkCommon(
    SEG_SS,
    "guest SS: present",
    "guest SS: reserved access rights are 0",
    "guest SS: G agrees with the limit",
  );
}

function checkData(index: u32): void {
  if (!usable(index)) return;
  const type = typeOf(index);
  rule((type & TYPE_ACCESSED) != 0, "guest data segment: type is accessed");
  rule((type & TYPE_CODE) == 0 || (type & TYPE_READABLE) != 0, "guest data segment: code is readable");
  rule((access(index) & SEGMENT_CODE_OR_DATA) != 0, "guest data segment: S is 1");
  const conforming = (type & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING);
  const reachable = conforming || dpl(index) >= (selector(index) & RPL_MASK);
  rule(
    unrestricted() || reachable,
    "guest data segment: DPL is at least the selector's RPL, without unrestricted guest",
  );
  checkCommon(
    index,
    "guest data segment: present",
    "guest data segment: reserved access rights are 0",
    "guest data segment: G agrees with the limit",
  );
}

function checkTask(longMode: bool): void {
  const type = typeOf(SEG_TR);
  rule(
    type == TYPE_TSS_BUSY || (!longMode && type == TYPE_TSS16_BUSY),
    "guest TR: type is a busy TSS (64-bit or 32-bit in IA-32e mode)",
  );
  rule((access(SEG_TR) & SEGMENT_CODE_OR_DATA) == 0, "guest TR: S is 0");
  rule(usable(SEG_TR), "guest TR: usable");
  checkCommon(
    SEG_TR,
    "guest TR: present",
    "guest TR: reserved access rights are 0",
    "guest TR: G agrees with the limit",
  );
}

function checkLocalTable(): void {
  if (!usable(SEG_LDTR)) return;
  rule(typeOf(SEG_LDTR) == TYPE_LDT, "guest LDTR: type is LDT");
  rule((access(SEG_LDTR) & SEGMENT_CODE_OR_DATA) == 0, "guest LDTR: S is 0");
  checkCommon(
    SEG_LDTR,
    "guest LDTR: present",
    "guest LDTR: reserved access rights are 0",
    "guest LDTR: G agrees with the limit",
  );
}

/** Checks the guest's segment registers in the current VMCS; what they break goes to the list of violations. */
export function checkSegments(): void {
  const longMode = (vmread(ENTRY_CONTROLS) & ENTRYC_IA32E_GUEST) != 0;
  const vm86 = (vmread(GUEST_RFLAGS) & RFLAGS_VM) != 0;
  checkSelectors(vm86);
  checkBases();
  if (vm86) {
    checkVm86();
  } else {
    checkCode(longMode);
    checkStack();
    checkData(SEG_DS);
    checkData(SEG_ES);
    checkData(SEG_FS);
    checkData(SEG_GS);
  }
  checkTask(longMode);
  checkLocalTable();
}
