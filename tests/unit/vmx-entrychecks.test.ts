// The software copy of VM entry's checks: a valid state breaks nothing; each rule, broken by one change, is named.
import { beforeAll, describe, expect, test } from "vitest";
import { encoding, HOST_FIELDS, startedMachine, type VmxMachine } from "./vmx-machine.ts";

let machine: VmxMachine;
let powerUp: Map<number, bigint>;

type Fields = Record<string, bigint>;

/** A 64-bit kernel, as changes of the power-up state. */
const LONG_MODE: Fields = {
  GUEST_CR0: 0x80050033n,
  GUEST_CR4: 0x20e0n,
  GUEST_EFER: 0xd01n,
  ENTRY_CONTROLS: 0xd3ffn,
  GUEST_RIP: 0xffffffff81000000n,
  GUEST_RFLAGS: 0x246n,
  ...Object.fromEntries(
    ["ES", "SS", "DS"].flatMap((name) => [
      [`GUEST_${name}_LIMIT`, 0xffffffffn],
      [`GUEST_${name}_ACCESS`, 0xc093n],
    ]),
  ),
  GUEST_CS_BASE: 0n,
  GUEST_CS_SELECTOR: 16n,
  GUEST_CS_LIMIT: 0xffffffffn,
  GUEST_CS_ACCESS: 0xa09bn,
  GUEST_TR_ACCESS: 0x8bn,
};

const PROTECTED: Fields = { GUEST_CR0: 0x31n };

const VM86: Fields = {
  GUEST_CR0: 0x31n,
  GUEST_RFLAGS: 0x20002n,
  ...Object.fromEntries(
    ["ES", "CS", "SS", "DS", "FS", "GS"].flatMap((name) => [
      [`GUEST_${name}_SELECTOR`, 0x1234n],
      [`GUEST_${name}_BASE`, 0x12340n],
      [`GUEST_${name}_LIMIT`, 0xffffn],
      [`GUEST_${name}_ACCESS`, 0xf3n],
    ]),
  ),
};

const PAE: Fields = { GUEST_CR0: 0x80000031n, GUEST_CR4: 0x2060n };

/** The rules that this state breaks. */
function broken(...changes: Fields[]): string[] {
  machine.cpu.vmcs.clear();
  for (const [field, value] of powerUp) machine.cpu.vmcs.set(field, value);
  for (const [name, value] of Object.entries(Object.assign({}, HOST_FIELDS, ...changes))) {
    machine.cpu.vmcs.set(encoding(name), value as bigint);
  }
  const count = machine.call("broken");
  return Array.from({ length: count }, (_, i) => machine.text("brokenRule", i) ?? "");
}

beforeAll(async () => {
  const started = await startedMachine();
  machine = started.machine;
  machine.exit(started.vcpu, { EXIT_REASON: 10n });
  powerUp = new Map(machine.cpu.vmcs);
});

describe("states that are right", () => {
  test.each([
    ["power-up", {}],
    ["32-bit protected mode", PROTECTED],
    ["64-bit", LONG_MODE],
    ["virtual-8086", VM86],
    ["PAE paging with empty page-directory pointers", PAE],
    [
      "unusable data segments",
      { GUEST_DS_ACCESS: 0x10000n, GUEST_ES_ACCESS: 0x10000n, GUEST_LDTR_ACCESS: 0x10000n },
    ],
    ["an interrupt to inject", { ENTRY_INTERRUPTION_INFO: 0x80000041n, GUEST_RFLAGS: 0x202n }],
    [
      "a page fault to inject",
      { ...PROTECTED, ENTRY_INTERRUPTION_INFO: 0x80000b0en, ENTRY_EXCEPTION_ERROR_CODE: 6n },
    ],
    [
      "single-stepping in a shadow",
      { GUEST_RFLAGS: 0x302n, GUEST_INTERRUPTIBILITY: 1n, GUEST_PENDING_DEBUG: 0x4000n },
    ],
  ])("%s", (_name, fields) => {
    expect(broken(fields as Fields)).toEqual([]);
  });
});

const NON_CANONICAL = 0x0000_8000_0000_0000n;
const FAR = 1n << 40n;

/** One broken rule each: what is changed, and words of the rule that must be named. */
const cases: [rule: string, ...changes: Fields[]][] = [
  // controls
  ["pin-based controls: reserved bits", { PIN_CONTROLS: 0x7dn }],
  ["primary controls: reserved bits", { PRIMARY_CONTROLS: 0n }],
  ["secondary controls: reserved bits", { SECONDARY_CONTROLS: 0xffffffffn }],
  ["VM-exit controls: reserved bits", { EXIT_CONTROLS: 0n }],
  ["VM-entry controls: reserved bits", { ENTRY_CONTROLS: 0n }],
  ["CR3-target count is at most 4", { CR3_TARGET_COUNT: 5n }],
  ["I/O bitmap A", { IO_BITMAP_A: 0x1001n }],
  ["I/O bitmap B", { IO_BITMAP_B: FAR }],
  ["the MSR bitmap is", { MSR_BITMAP: 0x800n }],
  ["virtual NMIs need NMI exiting", { PIN_CONTROLS: 0x77n }],
  ["NMI-window exiting needs virtual NMIs", { PIN_CONTROLS: 0x5fn, PRIMARY_CONTROLS: 0xb6586dfan }],
  ["saving the preemption timer needs", { PIN_CONTROLS: 0x3fn, EXIT_CONTROLS: 0x7fefffn }],
  ["VPID is not 0", { VPID: 0n }],
  ["unrestricted guest needs EPT", { SECONDARY_CONTROLS: 0x10e8n }],
  ["EPT pointer: memory type", { EPT_POINTER: 0x10005fn }],
  ["EPT pointer: page-walk length", { EPT_POINTER: 0x100056n }],
  ["EPT pointer: bits 11 to 7", { EPT_POINTER: 0x1000den }],
  ["EPT pointer: address", { EPT_POINTER: FAR | 0x5en }],
  ["VM-exit MSR-store list", { EXIT_MSR_STORE_COUNT: 1n, EXIT_MSR_STORE_ADDRESS: 8n }],
  ["VM-exit MSR-load list", { EXIT_MSR_LOAD_COUNT: 1n, EXIT_MSR_LOAD_ADDRESS: FAR }],
  ["VM-entry MSR-load list", { ENTRY_MSR_LOAD_COUNT: 2n, ENTRY_MSR_LOAD_ADDRESS: (1n << 39n) - 16n }],
  ["no entry to SMM", { ENTRY_CONTROLS: 0xd5ffn }],
  ["no deactivation of dual-monitor", { ENTRY_CONTROLS: 0xd9ffn }],
  // events
  ["event: type is not reserved", { ENTRY_INTERRUPTION_INFO: 0x80000141n }],
  ["event: the vector of an NMI", { ENTRY_INTERRUPTION_INFO: 0x80000203n }],
  ["event: the vector of a hardware exception", { ENTRY_INTERRUPTION_INFO: 0x80000320n }],
  ["event: an error code goes with", { ENTRY_INTERRUPTION_INFO: 0x80000b0dn }],
  ["event: an error code goes with", PROTECTED, { ENTRY_INTERRUPTION_INFO: 0x8000030dn }],
  ["event: an error code goes with", PROTECTED, { ENTRY_INTERRUPTION_INFO: 0x80000b06n }],
  ["event: bits 30 to 12", { ENTRY_INTERRUPTION_INFO: 0x80001041n, GUEST_RFLAGS: 0x202n }],
  [
    "event: bits 31 to 16 of the error code",
    PROTECTED,
    { ENTRY_INTERRUPTION_INFO: 0x80000b0en, ENTRY_EXCEPTION_ERROR_CODE: 0x10000n },
  ],
  ["event: the instruction length", { ENTRY_INTERRUPTION_INFO: 0x80000480n, ENTRY_INSTRUCTION_LENGTH: 0n }],
  // host
  ["host CR0: bits fixed to 1", { HOST_CR0: 0x80010013n }],
  ["host CR0: bits fixed to 0", { HOST_CR0: 0x180010033n }],
  ["host CR4: bits fixed to 1", { HOST_CR4: 0x668n }],
  ["host CR4: bits fixed to 0", { HOST_CR4: 0x2668n | (1n << 23n) }],
  ["host CR3 is within", { HOST_CR3: FAR }],
  ["host IA32_SYSENTER_ESP", { HOST_SYSENTER_ESP: NON_CANONICAL }],
  ["host IA32_SYSENTER_EIP", { HOST_SYSENTER_EIP: NON_CANONICAL }],
  ["host IA32_PAT", { HOST_PAT: 0x0007040600070402n }],
  ["host IA32_EFER: reserved bits", { HOST_EFER: 0xf00n }],
  ["host IA32_EFER: LMA and LME", { HOST_EFER: 0x900n }],
  ["host selectors: RPL and TI", { HOST_DS_SELECTOR: 19n }],
  ["host CS selector is not null", { HOST_CS_SELECTOR: 0n }],
  ["host TR selector is not null", { HOST_TR_SELECTOR: 0n }],
  ["host FS base", { HOST_FS_BASE: NON_CANONICAL }],
  ["host GS base", { HOST_GS_BASE: NON_CANONICAL }],
  ["host TR base", { HOST_TR_BASE: NON_CANONICAL }],
  ["host GDTR base", { HOST_GDTR_BASE: NON_CANONICAL }],
  ["host IDTR base", { HOST_IDTR_BASE: NON_CANONICAL }],
  ["the host's address-space size", { EXIT_CONTROLS: 0x3fedffn }],
  ["host CR4.PAE", { HOST_CR4: 0x2648n }],
  ["host RIP is canonical", { HOST_RIP: NON_CANONICAL }],
  // guest control registers and MSRs
  ["guest CR0: bits fixed to 1", { GUEST_CR0: 0x10n }],
  ["guest CR0: bits fixed to 0", { GUEST_CR0: 0x100000030n }],
  ["guest CR0: PG needs PE", { GUEST_CR0: 0x80000030n }],
  ["guest CR4: bits fixed to 1", { GUEST_CR4: 0x40n }],
  ["guest CR4: bits fixed to 0", { GUEST_CR4: 0x802040n }],
  ["(IA-32e) guest has CR0.PG = 1", LONG_MODE, { GUEST_CR0: 0x50033n }],
  ["(IA-32e) guest has CR4.PAE = 1", LONG_MODE, { GUEST_CR4: 0x20c0n }],
  ["guest CR4.PCIDE", { GUEST_CR4: 0x22040n }],
  ["guest CR3 is within", { GUEST_CR3: FAR }],
  ["guest IA32_DEBUGCTL", { GUEST_DEBUGCTL: 0x10000n }],
  ["guest DR7", { GUEST_DR7: 1n << 32n }],
  ["guest IA32_SYSENTER_ESP", { GUEST_SYSENTER_ESP: NON_CANONICAL }],
  ["guest IA32_SYSENTER_EIP", { GUEST_SYSENTER_EIP: NON_CANONICAL }],
  ["guest IA32_PAT", { GUEST_PAT: 8n }],
  ["guest IA32_EFER: reserved bits", { GUEST_EFER: 0x1000n }],
  ["guest IA32_EFER.LMA equals", LONG_MODE, { ENTRY_CONTROLS: 0xd1ffn }],
  ["guest IA32_EFER: LMA equals LME", LONG_MODE, { GUEST_EFER: 0xc01n }],
  // tables, RIP, flags
  ["guest GDTR base", { GUEST_GDTR_BASE: NON_CANONICAL }],
  ["guest IDTR base", { GUEST_IDTR_BASE: NON_CANONICAL }],
  ["guest GDTR limit", { GUEST_GDTR_LIMIT: 0x10000n }],
  ["guest IDTR limit", { GUEST_IDTR_LIMIT: 0x10000n }],
  ["guest RIP: bits 63 to 32", { GUEST_RIP: 1n << 32n }],
  ["guest RIP is canonical", LONG_MODE, { GUEST_RIP: NON_CANONICAL }],
  ["guest RFLAGS: reserved bits", { GUEST_RFLAGS: 0xan }],
  ["guest RFLAGS: bit 1", { GUEST_RFLAGS: 0n }],
  ["guest RFLAGS.VM", LONG_MODE, { GUEST_RFLAGS: 0x20002n }],
  ["only with RFLAGS.IF = 1", { ENTRY_INTERRUPTION_INFO: 0x80000041n }],
  // non-register state
  ["guest interruptibility: reserved bits", { GUEST_INTERRUPTIBILITY: 0x20n }],
  ["not blocked by STI and MOV SS at once", { GUEST_INTERRUPTIBILITY: 3n, GUEST_RFLAGS: 0x202n }],
  ["blocking by STI needs RFLAGS.IF", { GUEST_INTERRUPTIBILITY: 1n }],
  ["no SMI blocking or enclave", { GUEST_INTERRUPTIBILITY: 4n }],
  [
    "only when not blocked by STI or MOV SS",
    { GUEST_INTERRUPTIBILITY: 1n, GUEST_RFLAGS: 0x202n, ENTRY_INTERRUPTION_INFO: 0x80000041n },
  ],
  [
    "an NMI is injected only when not blocked by MOV SS",
    { GUEST_INTERRUPTIBILITY: 2n, ENTRY_INTERRUPTION_INFO: 0x80000202n },
  ],
  ["a virtual NMI is injected only", { GUEST_INTERRUPTIBILITY: 8n, ENTRY_INTERRUPTION_INFO: 0x80000202n }],
  ["guest activity state is one that", { GUEST_ACTIVITY: 4n }],
  ["guest activity state is active while", { GUEST_ACTIVITY: 1n, GUEST_INTERRUPTIBILITY: 2n }],
  ["guest pending debug exceptions: reserved", { GUEST_PENDING_DEBUG: 0x10n }],
  ["BS is as RFLAGS.TF says", { GUEST_RFLAGS: 0x302n, GUEST_INTERRUPTIBILITY: 2n }],
  ["VMCS link pointer", { VMCS_LINK_POINTER: 0n }],
  ["page-directory-pointer-table entries", PAE, { GUEST_PDPTE2: 0x1007n }],
  // segments
  ["guest TR: selector's TI", { GUEST_TR_SELECTOR: 4n }],
  ["guest LDTR: selector's TI", { GUEST_LDTR_SELECTOR: 4n }],
  ["guest SS: selector's RPL is CS's", PROTECTED, { SECONDARY_CONTROLS: 0x106an, GUEST_SS_SELECTOR: 3n }],
  ["guest TR base", { GUEST_TR_BASE: NON_CANONICAL }],
  ["guest FS base", { GUEST_FS_BASE: NON_CANONICAL }],
  ["guest GS base", { GUEST_GS_BASE: NON_CANONICAL }],
  ["guest LDTR base", { GUEST_LDTR_BASE: NON_CANONICAL }],
  ["guest CS base", { GUEST_CS_BASE: 1n << 32n }],
  ["guest SS base", { GUEST_SS_BASE: 1n << 32n }],
  ["guest DS base", { GUEST_DS_BASE: 1n << 32n }],
  ["guest ES base", { GUEST_ES_BASE: 1n << 32n }],
  ["virtual-8086 guest: a segment's base", VM86, { GUEST_GS_BASE: 0n }],
  ["virtual-8086 guest: a segment's limit", VM86, { GUEST_ES_LIMIT: 0xfffffn }],
  ["virtual-8086 guest: a segment's access rights", VM86, { GUEST_SS_ACCESS: 0x93n }],
  ["guest CS: type is", { GUEST_CS_ACCESS: 0x9an }],
  ["guest CS: S is 1", { GUEST_CS_ACCESS: 0x8bn }],
  ["guest CS: DPL is 0 when its type is data", PROTECTED, { GUEST_CS_ACCESS: 0xf3n }],
  ["guest CS: DPL is SS's for non-conforming", PROTECTED, { GUEST_CS_ACCESS: 0xfbn }],
  ["guest CS: DPL is at most SS's for conforming", PROTECTED, { GUEST_CS_ACCESS: 0xffn }],
  ["guest CS: D is 0 when L is 1", LONG_MODE, { GUEST_CS_ACCESS: 0xe09bn }],
  ["guest CS: present", { GUEST_CS_ACCESS: 0x1bn }],
  ["guest CS: reserved access rights", { GUEST_CS_ACCESS: 0x19bn }],
  ["guest CS: G agrees with the limit", { GUEST_CS_LIMIT: 0x100000n }],
  ["guest CS: G agrees with the limit", PROTECTED, { GUEST_CS_ACCESS: 0x809bn, GUEST_CS_LIMIT: 0xfffff000n }],
  ["guest SS: DPL is the selector's RPL", PROTECTED, { SECONDARY_CONTROLS: 0x106an, GUEST_SS_ACCESS: 0xf3n }],
  ["guest SS: DPL is 0 in real mode", { GUEST_SS_ACCESS: 0xf3n }],
  ["guest SS: type is", { GUEST_SS_ACCESS: 0x91n }],
  ["guest SS: S is 1", { GUEST_SS_ACCESS: 0x83n }],
  ["guest SS: present", { GUEST_SS_ACCESS: 0x13n }],
  ["guest data segment: type is accessed", { GUEST_DS_ACCESS: 0x92n }],
  ["guest data segment: code is readable", { GUEST_ES_ACCESS: 0x99n }],
  ["guest data segment: S is 1", { GUEST_FS_ACCESS: 0x83n }],
  ["guest data segment: DPL is at least", PROTECTED, { SECONDARY_CONTROLS: 0x106an, GUEST_DS_SELECTOR: 3n }],
  ["guest data segment: present", { GUEST_GS_ACCESS: 0x13n }],
  ["guest TR: type is a busy TSS", { GUEST_TR_ACCESS: 0x89n }],
  ["guest TR: type is a busy TSS", LONG_MODE, { GUEST_TR_ACCESS: 0x83n }],
  ["guest TR: S is 0", { GUEST_TR_ACCESS: 0x9bn }],
  ["guest TR: usable", { GUEST_TR_ACCESS: 0x1008bn }],
  ["guest TR: present", { GUEST_TR_ACCESS: 0xbn }],
  ["guest LDTR: type is LDT", { GUEST_LDTR_ACCESS: 0x83n }],
  ["guest LDTR: S is 0", { GUEST_LDTR_ACCESS: 0x92n }],
  ["guest LDTR: present", { GUEST_LDTR_ACCESS: 0x2n }],
];

describe("each rule, broken once", () => {
  test.each(cases)("%s", (rule, ...changes) => {
    const named = broken(...changes);
    expect(named.filter((text) => text.includes(rule))).not.toEqual([]);
  });
});

test("a mistake names its own rule, not a dozen", () => {
  expect(broken({ GUEST_DS_ACCESS: 0x92n })).toEqual(["guest data segment: type is accessed"]);
  expect(broken({ HOST_FS_BASE: NON_CANONICAL })).toEqual(["host FS base is canonical"]);
  expect(broken({ VPID: 0n })).toEqual(["VPID is not 0"]);
});
