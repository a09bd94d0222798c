// A machine or a command line that cannot do gets one clear paragraph and a status, never a hang.
import { beforeAll, describe, expect, test } from "vitest";
import { buildImage } from "../../tools/image/build.ts";
import { bochs } from "../../tools/machines/bochs.ts";
import { qemuTcg } from "../../tools/machines/qemu-tcg.ts";
import type { VmConfig } from "../../tools/vm/config.ts";
import { boot } from "./harness.ts";

const UNSUPPORTED = 17;
const BAD_VM = 16;
const MIB = 1024 * 1024;

let image: string;
/** Any file serves as a guest where the hypervisor gives up before it looks inside. */
let anyVm: VmConfig;

beforeAll(async () => {
  image = (await buildImage()).elf;
  anyVm = { name: "any", kernel: image, bootArgs: "", memoryBytes: 32 * MIB, cpus: 1, restart: false };
}, 300_000);

describe("the banner", () => {
  test.each([
    ["qemu-tcg", qemuTcg, "AMD-V", /TSC \d+ kHz \(PM timer\), xAPIC/],
    ["bochs", bochs, "VT-x", /TSC (49|50)\d{3} kHz \(PM timer\), x2APIC, TSC deadline/],
  ] as const)(
    "on %s says version, processors, memory, clock and backend",
    async (_name, machine, backend, clock) => {
      const { log } = await boot(machine, { image, memoryMiB: 128 });
      expect(log[0]).toMatch(/^typevisor: Typevisor \d+\.\d+\.\d+, 1 CPU, 12[67] MiB RAM, /);
      expect(log[0]).toMatch(clock);
      expect(log[1]).toBe(`typevisor: backend ${backend}`);
    },
  );
});

test("a processor whose CPUID misstates the TSC's rate is measured", async () => {
  const emulatorArgs = ["cpu: model=corei7_skylake_x, ips=50000000"];
  const { log } = await boot(bochs, { image, memoryMiB: 128, emulatorArgs });
  expect(log[0]).toMatch(/TSC (49|50)\d{3} kHz/);
});

describe("what the machine lacks is named", () => {
  const cases: [what: string, emulator: string[], args: string[], words: RegExp][] = [
    ["virtualization", ["-cpu", "max,svm=off"], [], /neither VT-x nor AMD-V.*firmware's set-up/],
    ["VT-x, when it is asked for", [], ["backend=vmx"], /no VT-x/],
    ["AMD-V, when it is asked for", ["-cpu", "max,svm=off"], ["backend=svm"], /no AMD-V/],
    ["nested paging", ["-cpu", "qemu64,svm=on,npt=off"], [], /nested paging/],
    ["a backend of that name", [], ["backend=tdx"], /option backend is auto, vmx or svm/],
    ["guests", [], [], /no guest to run\. Give the loader the guest's kernel/],
  ];
  test.each(cases)("%s", async (_what, emulatorArgs, args, words) => {
    const { log, status } = await boot(qemuTcg, { image, emulatorArgs, args });
    const errors = log.filter((line) => line.startsWith("typevisor: error: "));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(words);
    expect(status).toBe(UNSUPPORTED);
  });

  test("long mode: said by the 32-bit entry code on COM1", async () => {
    const { console } = await boot(qemuTcg, { image, emulatorArgs: ["-cpu", "pentium3"], timeout: 3 });
    expect(console).toMatch(/^typevisor: error: this processor has no 64-bit long mode\./);
    expect(console.trimEnd().endsWith("typevisor: halt (status 17)")).toBe(true);
  });

  test("no-execute pages", async () => {
    const { console } = await boot(qemuTcg, { image, emulatorArgs: ["-cpu", "max,nx=off"], timeout: 3 });
    expect(console).toMatch(/^typevisor: error: this processor does not offer no-execute pages/);
  });

  test("memory for the guest", async () => {
    const vms = [{ ...anyVm, memoryBytes: 512 * MIB }];
    const { log, status } = await boot(qemuTcg, { image, vms, memoryMiB: 128, args: [`vm0.memory=512M`] });
    expect(log.filter((line) => line.startsWith("typevisor: error: "))).toHaveLength(1);
    expect(log.join("\n")).toMatch(/error: vm0: .*512 MiB.*memory/);
    expect(status).toBe(BAD_VM);
  });
});

test("an option with a value that does not exist is named, and its default counts", async () => {
  const { log, status } = await boot(qemuTcg, { image, args: ["loglevel=all"] });
  expect(log.join("\n")).toMatch(/warning: options: .*loglevel is error, warn, info or debug/);
  expect(log.join("\n")).toContain("backend AMD-V");
  expect(status).toBe(UNSUPPORTED);
});
