import { describe, expect, test } from "vitest";
import { type KernelModule, loadKernel } from "../harness.ts";
import { acpiTableBytes, bytesOf, installAcpi } from "./firmware.ts";

const GLUE = `
export { acpiStart } from "./kernel/drivers/acpi";
export { fadtRead } from "./kernel/drivers/fadt";
export { apicStart } from "./kernel/drivers/apic";
`;
const PM_TIMER = 0xb008;
const PM_HZ = 3_579_545;
const PIT_HZ = 1_193_182;
const APIC_HZ = 25_000_000;

interface Computer {
  tscHz: number;
  pmTimer: boolean;
  /** Microseconds that reading a port takes. */
  portTime: number;
  cpuid?: [string, [number, number, number, number]][];
  stopped?: boolean;
}

/** A computer whose clocks all follow one time, which advances with every access. */
async function start(computer: Computer): Promise<KernelModule> {
  const kernel = await loadKernel(["kernel/drivers/calibrate.ts"], GLUE);
  const { cpu, exports } = kernel;
  let seconds = 1.25;
  const ticks = (hz: number) => (computer.stopped ? 0 : Math.floor(seconds * hz));
  let latch: number[] = [];
  cpu.portIn = (port) => {
    seconds += computer.portTime / 1e6;
    if (port === PM_TIMER) return ticks(PM_HZ) & 0xff_ffff;
    return port === 0x42 ? (latch.shift() ?? 0) : 0;
  };
  cpu.portOut = (port, _size, value) => {
    seconds += computer.portTime / 1e6;
    const counter = 0xffff - (ticks(PIT_HZ) & 0xffff);
    if (port === 0x43 && value === 0x80) latch = bytesOf(counter, 2);
  };
  Object.defineProperty(cpu, "tsc", {
    get: () => BigInt(Math.floor((seconds += 2e-8) * computer.tscHz)),
    set: () => {},
  });
  cpu.tscStep = 0n;
  cpu.msrs.set(0x1b, 0xfee00900n);
  const rdmsr = cpu.msrs.get.bind(cpu.msrs);
  cpu.msrs.get = (msr) => (msr === 0x839 ? BigInt(0xffff_ffff - ticks(APIC_HZ)) : rdmsr(msr));
  for (const [key, values] of [["1:0", [0, 0, 1 << 21, 0]] as const, ...(computer.cpuid ?? [])]) {
    cpu.cpuidLeaves.set(key, [...values] as [number, number, number, number]);
  }
  if (!cpu.cpuidLeaves.has("0:0")) cpu.cpuidLeaves.set("0:0", [1, 0, 0, 0]);
  const fadt = new Array<number>(80).fill(0);
  if (computer.pmTimer) fadt.splice(76 - 36, 4, ...bytesOf(PM_TIMER, 4));
  installAcpi(cpu, {
    rsdp: 0xe0000n,
    root: 0xbfe0000n,
    tables: new Map([[0xbff0000n, acpiTableBytes("FACP", fadt)]]),
    xsdt: false,
  });
  exports.acpiStart!();
  exports.fadtRead!();
  exports.apicStart!();
  return kernel;
}

describe("calibration", () => {
  test.each([
    [2_394_374_000, true, 1],
    [2_394_374_000, false, 1],
    [50_000_000, true, 0.1],
    [3_000_000_000, true, 20],
    [3_000_000_000, false, 5],
  ])("finds %i Hz (PM timer: %s, %d us per port access) to 300 ppm", async (tscHz, pmTimer, portTime) => {
    const { exports } = await start({ tscHz, pmTimer, portTime });
    expect(exports.calibrate!()).toBe(1);
    const error = (name: string, hz: number) => Math.abs(Number(exports[name]!()) / hz - 1);
    expect(error("calibratedTscHz", tscHz)).toBeLessThan(300e-6);
    expect(error("calibratedApicTimerHz", APIC_HZ)).toBeLessThan(300e-6);
  });

  test("believes CPUID 15H when the measurement agrees, and only then", async () => {
    const leaf15: [string, [number, number, number, number]][] = [
      ["0:0", [0x16, 0, 0, 0]],
      ["15:0", [2, 216, 24_000_000, 0]],
    ];
    const honest = await start({ tscHz: 2_592_000_500, pmTimer: true, portTime: 1, cpuid: leaf15 });
    honest.exports.calibrate!();
    expect(honest.exports.calibratedTscHz!()).toBe(2_592_000_000n);
    const liar = await start({ tscHz: 50_000_000, pmTimer: true, portTime: 1, cpuid: leaf15 });
    liar.exports.calibrate!();
    expect(Number(liar.exports.calibratedTscHz!()) / 50_000_000).toBeCloseTo(1, 3);
  });

  test.each([true, false])(
    "a reference that stands still is reported, not waited for (PM timer: %s)",
    async (pmTimer) => {
      const { exports } = await start({ tscHz: 1_000_000_000, pmTimer, portTime: 1, stopped: true });
      expect(exports.calibrate!()).toBe(0);
    },
  );
});
