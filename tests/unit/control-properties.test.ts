// Whatever a guest has in its memory and registers, what handlers make of it is a state that the processor enters: random values
// go through the handlers that write guest state, and then the manual's own checks of VM entry (SDM, "Checks on the Guest State
// Area"; APM, "Canonicalization and Consistency Checks"), as both backends have them in software, find nothing.
import { beforeAll, describe, expect, test } from "vitest";
import { exitsGlue } from "./exits-glue.js";
import { EXIT, ExitsMachine, OUTCOME } from "./exits-machine.js";
import { readString } from "./harness.js";
import { Random } from "./random.js";
import { becomeIntel, encoding, HOST_FIELDS } from "./vmx-machine.js";

const ROUNDS = 800;
const RAM = 1n << 20n;
const GDT = 0x1_0000n;
const OLD_TSS = 0x1_2000n;
const NEW_TSS = 0x1_3000n;
const PDPT = 0x1_4000n;
const CODE = 0x8000n;
const ALL_GROUPS = 0x7fn;

const VMX = `${exitsGlue}
import { framesAdd } from "./kernel/mm/frames";
import { PerCpu } from "./kernel/arch/percpu";
import { Backend } from "./kernel/vcpu/backend";
import { EVENT_VALID } from "./kernel/vcpu/vcpu";
import { vmwrite } from "./kernel/arch/intrinsics";
import { ENTRY_INTERRUPTION_INFO } from "./kernel/vmx/fields";
import { BackendLink } from "./kernel/lib/links";
import { vmxInstall } from "./kernel/vmx/backend";
import { checkEntry } from "./kernel/vmx/entrychecks";
import { injectEvent } from "./kernel/vmx/inject";
import { storeState } from "./kernel/vmx/state";
import { violation } from "./kernel/vcpu/violations";
const perCpu = memory.data(offsetof<PerCpu>(), 16);
export function perCpuAddress(): usize { return perCpu; }
const table = changetype<Backend>(memory.data(offsetof<Backend>(), 16));
let own: BackendLink = vcpu.backend;
export function start(): string | null {
  framesAdd(16 << 20, 16 << 20);
  vmxInstall(table);
  const missing = table.enableCpu();
  if (missing != null) return missing;
  table.createVcpu(vcpu, 1 << 20);
  own = vcpu.backend;
  return null;
}
export function broken(): string | null {
  vcpu.backend = own;
  vmwrite(ENTRY_INTERRUPTION_INFO, 0);
  storeState(vcpu);
  if ((vcpu.event & EVENT_VALID) != 0) injectEvent(vcpu);
  return checkEntry() == 0 ? null : violation(0);
}
`;

const SVM = `${exitsGlue}
import { checkEvent, checkGuest } from "./kernel/svm/entrychecks";
import { violation, violationCount, violationsClear } from "./kernel/vcpu/violations";
import { injectEvent } from "./kernel/svm/inject";
import { storeState } from "./kernel/svm/state";
import { SvmVcpu, svmCreate } from "./kernel/svm/svm";
import { EVENT_VALID } from "./kernel/vcpu/vcpu";
import { VMCB_EVENTINJ } from "./kernel/svm/vmcb";
const VMCB: u64 = 0x30000000;
let svm: SvmVcpu = svmCreate(vcpu, VMCB);
export function perCpuAddress(): usize { return 0; }
export function start(): string | null { return null; }
export function broken(): string | null {
  vcpu.backend = svm;
  vcpu.vmcb = VMCB;
  phys_store64(VMCB + VMCB_EVENTINJ, 0);
  storeState(vcpu, svm, vcpu.dirty);
  if ((vcpu.event & EVENT_VALID) != 0) injectEvent(vcpu, svm);
  // No state of the guest reaches the rest of the control area.
  violationsClear();
  checkGuest(VMCB);
  checkEvent(VMCB);
  return violationCount() == 0 ? null : violation(0);
}
`;

const machines = new Map<string, ExitsMachine>();

beforeAll(async () => {
  for (const [name, glue] of [
    ["VT-x", VMX],
    ["AMD-V", SVM],
  ] as const) {
    const m = await ExitsMachine.create(RAM, glue);
    becomeIntel(m.cpu);
    m.cpu.perCpu = m.call("perCpuAddress") as number;
    expect(readString(m.kernel.memory, m.call("start") as number)).toBeNull();
    for (const [field, value] of Object.entries(HOST_FIELDS)) m.cpu.vmcs.set(encoding(field), value);
    machines.set(name, m);
  }
});

/** A guest in a valid state, which is all to be written back. */
function start(m: ExitsMachine, mode: 16 | 32 | 64, cpl: number): void {
  m.reset(mode, cpl);
  m.segment(6, 0, 0n, 0, 1 << 16);
  m.segment(7, 0x18, OLD_TSS, 0x67, 0x8b);
  if (mode === 64) {
    // Paging is part of the mode; no page is mapped that a test does not map.
    m.set("cr0", 0x8000_0031n);
    m.set("cr4", 0x20n);
    m.set("cr3", 0x9000n);
    m.cpu.store(0x9000n, 8, 0xa003n);
    m.cpu.store(0xa000n, 8, 0xb003n);
    m.cpu.store(0xb000n, 8, 0x83n);
  }
  m.set("gdtrBase", GDT);
  m.set("gdtrLimit", 0xffn);
  m.set("dr6", 0xffff_0ff0n);
  m.set("dr7", 0x400n);
  m.set("pat", 0x0007_0406_0007_0406n);
  m.set("rip", CODE);
  m.set("valid", ALL_GROUPS);
  m.set("dirty", ALL_GROUPS);
}

/** The first rule of VM entry that the state breaks. */
function broken(m: ExitsMachine): string | null {
  return readString(m.kernel.memory, m.call("broken") as number);
}

/** A descriptor that is often nearly right: of any type, present as a rule, with any base and limit. */
function descriptor(random: Random): bigint {
  const access = random.pick([0x9b, 0x93, 0xfb, 0xf3, 0x9f, 0x89, 0x81, 0x82, 0x8b, 0x97, random.below(256)]);
  return (random.wide() & ~(0xffn << 40n)) | (BigInt(access) << 40n);
}

function fill(m: ExitsMachine, random: Random, from: bigint, bytes: bigint): void {
  for (let at = 0n; at < bytes; at += 4n) m.cpu.store(from + at, 4, BigInt(random.next()));
}

/** One way from the guest's hands to its control structure: causes the exit, and returns the outcome. */
type Path = (m: ExitsMachine, random: Random) => number;

const PATHS: Record<string, Path> = {
  "task switch": (m, random) => {
    start(m, 32, random.pick([0, 3]));
    for (let n = 1n; n < 32n; n++) m.cpu.store(GDT + 8n * n, 8, descriptor(random));
    const wide = random.below(3) !== 0;
    const cause = random.below(4);
    const type = (cause === 1 ? 0x83n : 0x81n) | (wide ? 8n : 0n);
    m.cpu.store(GDT + 0x20n, 8, 0x67n | (NEW_TSS << 16n) | (type << 40n));
    fill(m, random, NEW_TSS, 0x68n);
    // Selectors into the table, so that descriptors are looked at; half of the time all are right but for one.
    const right = random.below(2) === 0;
    if (right) m.cpu.store(GDT + 8n, 8, 0x00cf_9b00_0000_ffffn);
    if (right) m.cpu.store(GDT + 16n, 8, 0x00cf_9300_0000_ffffn);
    const [first, count, distance] = wide ? [72n, 7n, 4n] : [34n, 5n, 2n];
    const wrong = random.below(12);
    for (let n = 0; n < count; n++) {
      const good = n === 1 ? 8 : n === Number(count) - 1 ? 0 : 16;
      const selector = right && n !== wrong ? good : random.below(0x100);
      m.cpu.store(NEW_TSS + first + BigInt(n) * distance, 2, BigInt(selector));
    }
    if (random.below(2) === 0) m.set("cr0", 0x8000_0011n);
    if (random.below(2) === 0) m.set("cr4", 0x20n);
    const event = cause === 3 ? random.pick([0, 0x80000020, 0x80000b0e]) : 0;
    return m.exit(EXIT.taskSwitch, {
      qualification: (BigInt(cause) << 30n) | 0x20n,
      interruptedEvent: event,
      interruptedError: random.next(),
      rip: CODE,
      nextRip: CODE + 2n,
    });
  },
  "MOV to a control register": (m, random) => {
    const mode = random.pick([16, 32, 64] as const);
    start(m, mode, 0);
    fill(m, random, PDPT, 32n);
    const value = random.pick([
      random.wide(),
      0x8000_0011n | BigInt(random.next()),
      0x20n | BigInt(random.next() & 0x3ff),
      PDPT | BigInt(random.below(32)),
    ]);
    m.setReg(0, value);
    if (random.below(2) === 0) m.set("cr3", mode === 64 ? 0x9000n : PDPT);
    const fields = { crNumber: random.pick([0, 0, 2, 3, 4, 4, 8]), gpr: 0, crAccess: 0 };
    return m.exit(EXIT.cr, { ...fields, rip: CODE, nextRip: CODE + 3n });
  },
  LMSW: (m, random) => {
    start(m, random.pick([16, 32] as const), 0);
    return m.exit(EXIT.cr, { crAccess: 3, info: random.next() & 0xffff, rip: CODE, nextRip: CODE + 3n });
  },
  "MOV to a debug register": (m, random) => {
    start(m, random.pick([32, 64] as const), 0);
    m.setReg(0, random.wide());
    const fields = { crNumber: random.below(8), gpr: 0, crAccess: 0 };
    return m.exit(EXIT.dr, { ...fields, rip: CODE, nextRip: CODE + 3n });
  },
  "an exception that goes on to the guest": (m, random) => {
    start(m, random.pick([16, 32, 64] as const), 0);
    const fields = { vector: random.pick([1, 17]), errorCode: random.next(), met: random.next() & 0x600f };
    m.set("interruptibility", BigInt(random.below(4)));
    return m.exit(EXIT.exception, { ...fields, rip: CODE });
  },
  "an emulated instruction": (m, random) => {
    const mode = random.pick([16, 32, 64] as const);
    start(m, mode, mode === 16 ? 0 : random.pick([0, 3]));
    for (let n = 0; n < 8; n++) m.setReg(n, random.pick([random.wide(), 0xfee0_0010n, 0x7000n, RAM - 4n]));
    m.setDevice(0xfee0_0010n, 8, random.wide());
    const bytes = Array.from({ length: 15 }, () => random.below(256));
    // Branches, stack, arithmetic and strings more often than chance gives.
    bytes[0] = random.pick([0xff, 0x8f, 0x01, 0x03, 0x66, 0x48, 0xf3, 0x0f, bytes[0] as number]);
    m.code(CODE, bytes);
    m.set("rflags", 2n | (BigInt(random.next()) & 0x0005_0cd5n));
    return m.exit(EXIT.nestedFault, { gpa: 0xfee0_0010n, flags: random.pick([1, 2]) });
  },
};

describe.each(["VT-x", "AMD-V"])("%s", (name) => {
  test.each([16, 32, 64] as const)("the state that tests start from is valid: %i-bit code", (mode) => {
    const m = machines.get(name) as ExitsMachine;
    start(m, mode, 0);
    expect(broken(m)).toBeNull();
  });

  test.each(Object.keys(PATHS))("%s", (path) => {
    const m = machines.get(name) as ExitsMachine;
    const random = new Random(path.length * 77 + name.length);
    const outcomes = new Map<number, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const outcome = (PATHS[path] as Path)(m, random);
      if (outcome === OUTCOME.stop) continue;
      m.finish(outcome);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      expect(broken(m), `round ${round}, ${m.exception() ?? "no exception"}`).toBeNull();
    }
    // Some are carried out, some refused: but LMSW, which nothing refuses, and exceptions, which are all injected.
    const kinds = ["LMSW", "an exception that goes on to the guest"].includes(path) ? 1 : 2;
    expect([...outcomes.values()].filter((count) => count > 50).length).toBeGreaterThanOrEqual(kinds);
  });

  test("PAE pointers that the guest breaks in memory, without loading them, do not count", () => {
    const m = machines.get(name) as ExitsMachine;
    start(m, 32, 0);
    m.set("cr4", 0x20n);
    m.set("cr3", PDPT);
    for (let n = 0n; n < 4n; n++) m.cpu.store(PDPT + 8n * n, 8, 0x1_5001n);
    m.setReg(0, 0x8000_0011n);
    expect(m.exit(EXIT.cr, { crNumber: 0, gpr: 0, crAccess: 0, rip: CODE, nextRip: CODE + 3n })).toBe(
      OUTCOME.advance,
    );
    expect(broken(m)).toBeNull();
    for (let n = 0n; n < 4n; n++) m.cpu.store(PDPT + 8n * n, 8, (1n << 63n) - 1n);
    expect(m.exit(EXIT.cr, { crAccess: 2, rip: CODE, nextRip: CODE + 2n })).toBe(OUTCOME.advance);
    expect(broken(m)).toBeNull();
  });
});
