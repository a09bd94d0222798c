import { describe, expect, test } from "vitest";
import { BROADWELL, vmxMachine } from "./vmx-machine.ts";

/** Clears a bit of "may be 1" in a capability MSR and its "true" twin. */
function without(bit: number, ...msrs: number[]): Record<number, bigint> {
  const changed = { ...BROADWELL };
  for (const msr of msrs) changed[msr] = changed[msr]! & ~(1n << BigInt(32 + bit));
  return changed;
}

function withMsr(msr: number, value: bigint): Record<number, bigint> {
  return { ...BROADWELL, [msr]: value };
}

const epvid = BROADWELL[0x48c]!;

describe("what is missing is named", () => {
  const cases: [string, Record<number, bigint>, RegExp][] = [
    ["firmware locked VT-x off", withMsr(0x3a, 1n), /locked off by the firmware/],
    ["locked on for SMX only", withMsr(0x3a, 3n), /locked off by the firmware/],
    ["uncacheable VMCS", withMsr(0x480, BROADWELL[0x480]! & ~(15n << 50n)), /uncacheable/],
    ["no secondary controls", without(31, 0x482, 0x48e), /no secondary controls/],
    ["no MSR bitmaps", without(28, 0x482, 0x48e), /no MSR bitmaps/],
    ["no HLT exiting", without(7, 0x482, 0x48e), /primary processor-based control/],
    ["no EPT", without(1, 0x48b), /no EPT/],
    ["no unrestricted guest", without(7, 0x48b), /no unrestricted guest/],
    ["no VPID", without(5, 0x48b), /no VPID/],
    ["no preemption timer", without(6, 0x481, 0x48d), /no VMX-preemption timer/],
    ["no virtual NMIs", without(5, 0x481, 0x48d), /no virtual NMIs/],
    ["no NMI exiting", without(3, 0x481, 0x48d), /pin-based control/],
    ["no 64-bit host", without(9, 0x483, 0x48f), /VM-exit control/],
    ["no EFER load at entry", without(15, 0x484, 0x490), /cannot load EFER/],
    ["no 64-bit guests", without(9, 0x484, 0x490), /cannot run 64-bit guests/],
    ["no 4-level walk", withMsr(0x48c, epvid & ~(1n << 6n)), /4-level/],
    ["no write-back tables", withMsr(0x48c, epvid & ~(1n << 14n)), /write-back/],
    ["no INVEPT", withMsr(0x48c, epvid & ~(1n << 20n)), /INVEPT/],
    ["no INVVPID of a context", withMsr(0x48c, epvid & ~(3n << 41n)), /INVVPID/],
  ];
  test.each(cases)("%s", async (_name, msrs, message) => {
    const machine = await vmxMachine(msrs);
    expect(machine.text("start")).toMatch(message);
    expect(machine.cpu.calls.map(({ name }) => name)).not.toContain("vmxon");
  });

  test("no VT-x at all", async () => {
    const machine = await vmxMachine({});
    machine.cpu.cpuidLeaves.set("1:0", [0, 0, 0, 0]);
    expect(machine.text("start")).toMatch(/no VT-x/);
  });
});

test("FEATURE_CONTROL that firmware left open is opened and locked", async () => {
  const machine = await vmxMachine(withMsr(0x3a, 0n));
  expect(machine.text("start")).toBeNull();
  expect(machine.cpu.msrs.get(0x3a)).toBe(5n);
});

test("VMX operation: CR4.VMXE, the revision in the VMXON region, VMXON of it", async () => {
  const machine = await vmxMachine();
  expect(machine.text("start")).toBeNull();
  expect(machine.cpu.controlRegisters.get("cr4")! & 0x2000n).toBe(0x2000n);
  const vmxon = machine.cpu.calls.find(({ name }) => name === "vmxon");
  expect(machine.cpu.load(vmxon!.args[0] as bigint, 4)).toBe(4n);
});

/** The words that a Broadwell must get, bit by bit from the manual's control numbers. */
const bits = (...numbers: number[]) => numbers.reduce((word, bit) => word | (1n << BigInt(bit)), 0n);
const expected = {
  // required: external interrupts, NMIs, virtual NMIs, preemption timer; default-1: 1, 2, 4
  PIN_CONTROLS: bits(0, 1, 2, 3, 4, 5, 6),
  // TSC offset, HLT, MWAIT, RDPMC, CR8 load and store, I/O bitmaps, MSR bitmaps, MONITOR, secondary;
  // default-1 that stay with "true" controls: 1, 4, 5, 6, 8, 13, 14, 26 (not CR3 exiting: 15, 16)
  PRIMARY_CONTROLS: bits(1, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 19, 20, 25, 26, 28, 29, 31),
  // EPT, RDTSCP, VPID, WBINVD, unrestricted guest, INVPCID; XSAVES where allowed
  SECONDARY_CONTROLS: bits(1, 3, 5, 6, 7, 12, 20),
  // save debug controls, 64-bit host, acknowledge, save and load PAT and EFER; default-1
  EXIT_CONTROLS: bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21),
  // load debug controls, PAT, EFER; default-1; IA-32e mode guest off after reset
  ENTRY_CONTROLS: bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 14, 15),
};

test("controls on a Broadwell are exactly the required, the desired that it offers, and its default-1", async () => {
  const machine = await vmxMachine();
  expect(machine.text("start")).toBeNull();
  const vcpu = machine.call("create", 0x100000n);
  expect(vcpu).not.toBe(0);
  for (const [field, word] of Object.entries(expected)) {
    const value = machine.field(field) & (field === "ENTRY_CONTROLS" ? ~0x200n : ~0n);
    expect(`${field} ${value.toString(16)}`).toBe(`${field} ${word.toString(16)}`);
  }
});

test("without RDTSCP, INVPCID, XSAVES and WBINVD exiting the backend still starts", async () => {
  let msrs = { ...BROADWELL };
  for (const bit of [3, 6, 12, 20]) msrs = { ...msrs, 0x48b: msrs[0x48b]! & ~(1n << BigInt(32 + bit)) };
  const machine = await vmxMachine(msrs);
  expect(machine.text("start")).toBeNull();
  machine.call("create", 0x100000n);
  expect(machine.field("SECONDARY_CONTROLS")).toBe(bits(1, 5, 7));
});

test("without the true capability MSRs the default-1 controls stay on", async () => {
  const machine = await vmxMachine({ ...BROADWELL, 0x480: BROADWELL[0x480]! & ~(1n << 55n) });
  expect(machine.text("start")).toBeNull();
  machine.call("create", 0x100000n);
  expect(machine.field("PRIMARY_CONTROLS") & bits(15, 16)).toBe(bits(15, 16));
});
