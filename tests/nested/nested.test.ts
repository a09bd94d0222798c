// Typevisor under real nested KVM, on AMD-V: QEMU's emulation, in it Debian with kvm_amd nested=1, in that QEMU with KVM, where
// Debian and every guest run. The same on VT-x takes most of an hour: `npm run test:nested -- --machine bochs`.
import { beforeAll, describe, expect, test } from "vitest";
import { JOB_NAMES } from "./jobs.ts";
import type { Report } from "./report.ts";
import { runNested } from "./run.ts";

describe("under KVM that nests, on AMD-V", () => {
  let report: Report;

  beforeAll(async () => {
    report = await runNested(
      "qemu-tcg",
      "",
      () => {},
      () => {},
    );
  }, 1_800_000);

  test("the first-level guest ran everything", () => {
    expect(report.failure).toBeUndefined();
    expect(report.verdicts.map(({ job }) => job.name)).toEqual(JOB_NAMES);
  });

  test.each(JOB_NAMES)("%s", (name) => {
    const verdict = report.verdicts.find(({ job }) => job.name === name);
    expect(verdict, "it did not run").toBeDefined();
    expect(verdict?.problem, JSON.stringify(verdict?.said, null, 1)).toBeUndefined();
  });
});
