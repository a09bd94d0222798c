// CPUID for guests: the policy applied to the host's CPU once, when a VM is created, into a dense table that a lookup
// indexes; leaves that depend on the guest's own state are finished at lookup.
import { CR4_OSXSAVE, CR4_PKE } from "../arch/cr";
import { EAX, EBX, ECX, EDX, cpuidHasLeaf, cpuidRegister } from "../arch/cpuid";
import { tscHz } from "../arch/clock";
import { cpuid, xgetbv } from "../arch/intrinsics";
import { APIC_BASE_ENABLE } from "../arch/msr";
import { lapicBase } from "../devices/lapic";
import { arenaNewWithTail } from "../lib/arena";
import { tailOf } from "../lib/tail";
import { need } from "../vcpu/backend";
import { CPUID_SLOT_SHIFT, cpuidSlot, CpuidSlot, CpuidTable, LEAF_PLAIN, LEAF_UNKNOWN } from "../vcpu/cpuid";
import { ExitRecord } from "../vcpu/exit";
import { GROUP_CONTROL } from "../vcpu/registers";
import { Vcpu } from "../vcpu/vcpu";
import { countersLeaf, COUNTERS_FIRST_LEAF } from "./counters";
import {
  CPUID_POLICY,
  CPUID_POLICY_COLUMNS,
  HIGHEST_BASIC,
  HIGHEST_EXTENDED,
  HIGHEST_HYPERVISOR,
} from "./cpuid-policy";
import { SUBLEAVES_XSAVE, XSAVE_BASE_BYTES, XSAVE_COMPACTED_ALIGNED, xsaveLeaf } from "./cpuid-xsave";
import {
  ANNOUNCES_HOST_COMMAND,
  ANNOUNCES_HOST_MSR,
  ANNOUNCES_XCR0,
  featureBits,
  featureKind,
  featureLeaf,
  featureOffer,
  featureProvided,
  featureRegister,
  FEATURES_END,
  FEATURES_ROW,
  featureWhich,
} from "./features";
import { lapicOf } from "./platform";
import { Vm } from "./vm";

// How a slot is used, beside LEAF_PLAIN and LEAF_UNKNOWN.
const LEAF_SUBLEAVES: u32 = 2;
/** Leaf 1: APIC ID and OSXSAVE. */
const LEAF_FEATURES: u32 = 3;
/** Leaf 7: OSPKE; subleaves past 0 are empty. */
const LEAF_STRUCTURED: u32 = 4;
/** Leaf 0Bh: x2APIC ID. */
const LEAF_TOPOLOGY: u32 = 5;
/** Leaf 80000001h of AMD's: repeats the local APIC's bit. */
const LEAF_EXTENDED_FEATURES: u32 = 7;
/** Leaf 0Dh: sizes depend on XCR0. */
const LEAF_XSAVE: u32 = 6;

const OSXSAVE: u32 = 1 << 27;
const APIC: u32 = 1 << 9;
const OSPKE: u32 = 1 << 4;
const HTT: u32 = 1 << 28;
const CMP_LEGACY: u32 = 1 << 1;
const APIC_ID_SHIFT: u32 = 24;
const LOGICAL_CPUS_SHIFT: u32 = 16;

const BASIC_SLOTS: u32 = HIGHEST_BASIC + 1;
const HYPERVISOR_SLOTS: u32 = (HIGHEST_HYPERVISOR & 0xffff) + 1;
const EXTENDED_SLOTS: u32 = (HIGHEST_EXTENDED & 0xffff) + 1;
/** Cache descriptors of leaf 4. */
const CACHE_SLOTS: u32 = 8;
const HYPERVISOR_FIRST: u32 = BASIC_SLOTS;
const EXTENDED_FIRST: u32 = HYPERVISOR_FIRST + HYPERVISOR_SLOTS;
const CACHE_FIRST: u32 = EXTENDED_FIRST + EXTENDED_SLOTS;
const XSAVE_FIRST: u32 = CACHE_FIRST + CACHE_SLOTS;
const SLOTS: u32 = XSAVE_FIRST + SUBLEAVES_XSAVE;

function slotAt(table: CpuidTable, index: u32): CpuidSlot {
  return changetype<CpuidSlot>(tailOf(table) + ((<usize>index) << CPUID_SLOT_SHIFT));
}

/** Builds the table of a VM; boot time only. */
export function cpuidCreate(vm: Vm): void {
  const table = arenaNewWithTail<CpuidTable>((<usize>SLOTS + 1) << CPUID_SLOT_SHIFT);
  table.unknown = slotAt(table, SLOTS);
  table.unknown.kind = LEAF_UNKNOWN;
  table.basicCount = BASIC_SLOTS;
  table.basicFirst = slotAt(table, 0);
  table.hypervisorCount = HYPERVISOR_SLOTS;
  table.hypervisorFirst = slotAt(table, HYPERVISOR_FIRST);
  table.extendedCount = EXTENDED_SLOTS;
  table.extendedFirst = slotAt(table, EXTENDED_FIRST);
  vm.cpuid = table;
  applyPolicy(table);
  applyFeatures(table);
  describeFeatures(table, vm.cpus);
  describeCaches(table);
  slotAt(table, 0x0b).kind = LEAF_TOPOLOGY;
  slotAt(table, 0x0b).count = vm.cpus;
  describeXsave(table);
  slotAt(table, HYPERVISOR_FIRST + 0x10).eax = <u32>(tscHz() / 1000);
}

function applyPolicy(table: CpuidTable): void {
  for (let row = 0; row < CPUID_POLICY.length; row += CPUID_POLICY_COLUMNS) {
    const leaf = CPUID_POLICY[row];
    const register = CPUID_POLICY[row + 2];
    const mask = CPUID_POLICY[row + 3];
    const slot = cpuidSlot(table, leaf);
    assert(slot.kind == LEAF_PLAIN, "cpuid: policy for a leaf without a slot");
    const host = mask != 0 && cpuidHasLeaf(leaf) ? cpuidRegister(leaf, CPUID_POLICY[row + 1], register) : 0;
    store<u32>(changetype<usize>(slot) + <usize>register * 4, (host & mask) | CPUID_POLICY[row + 4]);
  }
}

/** Shows what the host has of the features, less what cannot be provided. */
function applyFeatures(table: CpuidTable): void {
  const amd = isAmd(table);
  for (let row = 0; row < FEATURES_END; row += FEATURES_ROW) {
    const at = featureAt(table, row);
    store<u32>(at, load<u32>(at) | featureOffer(row));
  }
  const room = changetype<usize>(table) + offsetof<CpuidTable>("room");
  for (let row = 0; row < FEATURES_END; row += FEATURES_ROW) {
    const at = featureAt(table, row);
    const shown = load<u32>(at);
    if ((shown & featureBits(row)) == 0 || featureProvided(row, amd, room)) continue;
    store<u32>(at, shown & ~featureBits(row));
  }
}

/** Linear address of the register that a row of the features is about. */
function featureAt(table: CpuidTable, row: i32): usize {
  return changetype<usize>(cpuidSlot(table, featureLeaf(row))) + <usize>featureRegister(row) * 4;
}

/** All bits of CR4, XCR0 or EFER (a kind, ANNOUNCES_*) that the features shown announce. */
function announcedBits(table: CpuidTable, kind: u32): u64 {
  let bits: u64 = 0;
  for (let row = 0; row < FEATURES_END; row += FEATURES_ROW) {
    if (featureKind(row) != kind) continue;
    if ((load<u32>(featureAt(table, row)) & featureBits(row)) != 0) bits |= <u64>featureWhich(row);
  }
  return bits;
}

/** Bits of CR4, XCR0 or EFER (a kind, ANNOUNCES_*) that the guest's CPUID announces. */
export function guestAnnounced(vm: Vm, kind: u32): u64 {
  return announcedBits(vm.cpuid, kind);
}

/** Whether the guest's CPUID announces this MSR of the host's processor. */
export function guestAnnouncesMsr(vm: Vm, msr: u32): bool {
  const table = vm.cpuid;
  for (let row = 0; row < FEATURES_END; row += FEATURES_ROW) {
    const kind = featureKind(row);
    if (featureWhich(row) != msr || (kind != ANNOUNCES_HOST_MSR && kind != ANNOUNCES_HOST_COMMAND)) continue;
    if ((load<u32>(featureAt(table, row)) & featureBits(row)) != 0) return true;
  }
  return false;
}

/** Leaves 1, 7, 80000001h and 80000008h: number of CPUs; what is completed at lookup. */
function describeFeatures(table: CpuidTable, cpus: u32): void {
  const features = slotAt(table, 1);
  features.kind = LEAF_FEATURES;
  features.ebx |= cpus << LOGICAL_CPUS_SHIFT;
  if (cpus > 1) features.edx |= HTT;
  slotAt(table, 7).kind = LEAF_STRUCTURED;
  if (isAmd(table)) slotAt(table, EXTENDED_FIRST + 1).kind = LEAF_EXTENDED_FEATURES;
  if (cpus > 1 && isAmd(table)) slotAt(table, EXTENDED_FIRST + 1).ecx |= CMP_LEGACY;
  slotAt(table, EXTENDED_FIRST + 8).ecx = cpus - 1;
}

/** Vendor AMD or Hygon: they share MSRs and leaves that Intel has not. */
function isAmd(table: CpuidTable): bool {
  const edx = slotAt(table, 0).edx;
  return edx == 0x69746e65 || edx == 0x6e65476e; // "enti" of AuthenticAMD, "nGen" of HygonGenuine
}

/** Whether the guest's CPU is of AMD's kind. */
export function guestIsAmd(vm: Vm): bool {
  return isAmd(vm.cpuid);
}

/** One register of a leaf as the guest sees it, dynamic bits left out; 0 for unknown leaves. Subleaf 0. */
export function guestCpuid(vm: Vm, leaf: u32, register: u32): u32 {
  const slot = cpuidSlot(vm.cpuid, leaf);
  return load<u32>(changetype<usize>(slot) + <usize>register * 4);
}

/** EAX bits 4..0: type, 0 for none; 31..14: CPUs that share the cache and cores of the package, less one. */
const CACHE_TYPE: u32 = 0x1f;
const CACHE_SHARING: u32 = 0xffffc000;

/** Leaf 4, Intel's: the host's caches, private to each virtual CPU. */
function describeCaches(table: CpuidTable): void {
  const leaf = slotAt(table, 4);
  leaf.kind = LEAF_SUBLEAVES;
  leaf.first = slotAt(table, CACHE_FIRST);
  if (!cpuidHasLeaf(4)) return;
  while (leaf.count < CACHE_SLOTS) {
    const eax = cpuidRegister(4, leaf.count, EAX);
    if ((eax & CACHE_TYPE) == 0) return;
    const slot = slotAt(table, CACHE_FIRST + leaf.count);
    slot.eax = eax & ~CACHE_SHARING;
    slot.ebx = cpuidRegister(4, leaf.count, EBX);
    slot.ecx = cpuidRegister(4, leaf.count, ECX);
    slot.edx = cpuidRegister(4, leaf.count, EDX);
    leaf.count += 1;
  }
}

function describeXsave(table: CpuidTable): void {
  const leaf = slotAt(table, 0x0d);
  const mask = announcedBits(table, ANNOUNCES_XCR0);
  if (mask == 0) return;
  leaf.kind = LEAF_XSAVE;
  leaf.first = slotAt(table, XSAVE_FIRST);
  for (let subleaf: u32 = 0; subleaf < SUBLEAVES_XSAVE; subleaf++) {
    xsaveLeaf(subleaf, mask, changetype<usize>(slotAt(table, XSAVE_FIRST + subleaf)));
  }
}

// --- lookup --------------------------------------------------------------------------------------------------------------

/** Gives the vCPU what `slot` says in EAX, EBX, ECX, EDX; upper halves zero. */
function give(vcpu: Vcpu, slot: CpuidSlot): void {
  vcpu.rax = slot.eax;
  vcpu.rbx = slot.ebx;
  vcpu.rcx = slot.ecx;
  vcpu.rdx = slot.edx;
}

function giveNothing(vcpu: Vcpu): void {
  vcpu.rax = 0;
  vcpu.rbx = 0;
  vcpu.rcx = 0;
  vcpu.rdx = 0;
}

/** Leaves that nobody has read as zeros, but for those that ask for the counters. */
function giveUnknown(vcpu: Vcpu, leaf: u32, subleaf: u32): void {
  giveNothing(vcpu);
  if (leaf >= COUNTERS_FIRST_LEAF && leaf - COUNTERS_FIRST_LEAF < 4) countersLeaf(vcpu, leaf, subleaf);
}

/** CPUID as the guest sees it: writes EAX, EBX, ECX, EDX of the vCPU, upper halves zero. */
export function cpuidLookup(vcpu: Vcpu, leaf: u32, subleaf: u32): void {
  const slot = cpuidSlot(vcpu.cpuid, leaf);
  give(vcpu, slot);
  switch (slot.kind) {
    case LEAF_UNKNOWN:
      giveUnknown(vcpu, leaf, subleaf);
      break;
    case LEAF_SUBLEAVES:
      giveSubleaf(vcpu, slot, subleaf);
      break;
    case LEAF_FEATURES:
      need(vcpu, GROUP_CONTROL);
      vcpu.rbx |= <u64>(vcpu.index << APIC_ID_SHIFT);
      if ((vcpu.cr4 & CR4_OSXSAVE) != 0) vcpu.rcx |= OSXSAVE;
      hideDisabledApic(vcpu);
      break;
    case LEAF_EXTENDED_FEATURES:
      hideDisabledApic(vcpu);
      break;
    case LEAF_STRUCTURED:
      need(vcpu, GROUP_CONTROL);
      if (subleaf != 0) giveNothing(vcpu);
      else if ((vcpu.cr4 & CR4_PKE) != 0) vcpu.rcx |= OSPKE;
      break;
    case LEAF_TOPOLOGY:
      giveTopology(vcpu, slot.count, subleaf);
      break;
    case LEAF_XSAVE:
      giveXsave(vcpu, slot, subleaf);
      break;
    default:
      break;
  }
}

/** SDM, "Enabling or Disabling the Local APIC": disabled in IA32_APIC_BASE, it is as if it were not there. */
function hideDisabledApic(vcpu: Vcpu): void {
  if ((lapicBase(lapicOf(vcpu)) & APIC_BASE_ENABLE) == 0) vcpu.rdx &= ~(<u64>APIC);
}

function subleafOf(slot: CpuidSlot, subleaf: u32): CpuidSlot {
  return changetype<CpuidSlot>(changetype<usize>(slot.first) + ((<usize>subleaf) << CPUID_SLOT_SHIFT));
}

function giveSubleaf(vcpu: Vcpu, slot: CpuidSlot, subleaf: u32): void {
  if (subleaf >= slot.count) giveNothing(vcpu);
  else give(vcpu, subleafOf(slot, subleaf));
}

/** ECX bits 15..8: level type. */
const LEVEL_SMT: u32 = 1 << 8;
const LEVEL_CORE: u32 = 2 << 8;

/** One thread in a core, all cores in one package. EAX: bits of the x2APIC ID below the next level. */
function giveTopology(vcpu: Vcpu, cpus: u32, subleaf: u32): void {
  giveNothing(vcpu);
  vcpu.rcx = subleaf & 0xff;
  vcpu.rdx = vcpu.index;
  if (subleaf == 0) {
    vcpu.rbx = 1;
    vcpu.rcx |= LEVEL_SMT;
  } else if (subleaf == 1) {
    vcpu.rax = 32 - clz<u32>(cpus - 1);
    vcpu.rbx = cpus;
    vcpu.rcx |= LEVEL_CORE;
  }
}

/**
 * EBX of subleaves 0 and 1 is the size of what XCR0 has enabled, in the standard and in the compacted format. The guest's
 * XCR0 is in the processor while its vCPU runs, whether or not XSETBV is intercepted, so for subleaf 0 the processor itself
 * knows; its answer goes by way of the exit record's room for instruction bytes, which belongs to this vCPU and which CPUID
 * leaves empty. For subleaf 1 the processor would add the supervisor components that are the host's.
 */
function giveXsave(vcpu: Vcpu, slot: CpuidSlot, subleaf: u32): void {
  if (subleaf >= SUBLEAVES_XSAVE) {
    giveNothing(vcpu);
    return;
  }
  give(vcpu, subleafOf(slot, subleaf));
  if (subleaf == 0) {
    const live = changetype<usize>(vcpu.exit) + offsetof<ExitRecord>("bytes0");
    cpuid(0x0d, 0, live);
    vcpu.rbx = load<u32>(live, 4);
  } else if (subleaf == 1 && vcpu.rbx != 0) {
    vcpu.rbx = compactedBytes(slot, xgetbv(0));
  }
}

/** Bytes of an XSAVE area in the compacted format with the components of `enabled`, described by subleaves of `leaf`. */
function compactedBytes(leaf: CpuidSlot, enabled: u64): u32 {
  let bytes = XSAVE_BASE_BYTES;
  for (let component: u32 = 2; component < SUBLEAVES_XSAVE; component++) {
    if (((enabled >> component) & 1) == 0) continue;
    const slot = subleafOf(leaf, component);
    if ((slot.ecx & XSAVE_COMPACTED_ALIGNED) != 0) bytes = (bytes + 63) & ~63;
    bytes += slot.eax;
  }
  return bytes;
}
